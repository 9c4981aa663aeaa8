//! `plan`: what applying manifests would change and start. It sends get and list requests only.

mod live;
mod remote;

use super::gate_objects::OPERATOR_NAMESPACE;
use super::manifests::{ManifestArguments, no_deployment};
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{Terminal, safe_json};
use api::CognigyDeployment;
use clap::{Args, ValueEnum};
use live::Live;
use manifest::plan::{Plan, RemoteResult, Texts, plan, snapshot_of};
use manifest::render::{Report, Style, markdown, text};
use manifest::validate::{Rules, of_document, validate};
use manifest::{Document, Manifests, Problem, Severity};
use platform::EgressRule;
use remote::Checker;

const EXAMPLES: &str = "\
Examples:
  kubectl cognigy plan -f production.yaml                    what would change, and what would start
  kustomize build overlays/prod | kubectl cognigy plan -f -  several manifests
  kubectl cognigy plan -f production.yaml --remote           also ask Cognigy.AI; nothing is submitted
  kubectl cognigy plan -f manifests/ -o markdown > plan.md   a comment for a pull request

--remote takes the credentials from COGNIGY_CLIENT_ID, COGNIGY_CLIENT_SECRET, COGNIGY_BASE_URL and COGNIGY_TOKEN_URL, or
else from the Secret that the manifest names.

Exit codes:
  0 nothing to do   1 changes   2 error   4 would be refused";

/// `plan`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// What to plan.
    #[command(flatten)]
    manifests: ManifestArguments,

    /// Also ask Cognigy.AI for the validation and the synthetic trace. Nothing is submitted.
    #[arg(long)]
    remote: bool,

    /// For --remote: a host, `HOST:PORT` or network that may be called although it is not https or not public. Repeatable.
    #[arg(long, value_name = "RULE", requires = "remote", env = "COGNIGY_EGRESS_ALLOW", value_delimiter = ',')]
    egress_allow: Vec<EgressRule>,

    /// The namespace of the operator. Its change windows apply to all namespaces.
    #[arg(long, value_name = "NAMESPACE", default_value = OPERATOR_NAMESPACE)]
    operator_namespace: String,

    /// How to write the plan.
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value = "text")]
    output: Format,
}

/// How a plan is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal or a log.
    Text,
    /// For a comment on a pull request, at most 60 KiB.
    Markdown,
    /// JSON. docs/plan.md documents the fields.
    Json,
    /// The same as YAML.
    Yaml,
}

/// Plans every deployment in the manifests.
///
/// # Errors
/// [`Failure`] if the cluster cannot be read.
pub async fn run(arguments: &Arguments, connection: &Connection, terminal: &Terminal) -> Result<Exit, Failure> {
    let rules = Rules::of_the_crd().map_err(|error| Failure::Usage(error.to_string()))?;
    let (_, manifests) = arguments.manifests.read();
    let has_unread = !manifests.problems.is_empty();
    if manifests.deployments.is_empty() && !has_unread {
        return Err(no_deployment());
    }
    let checker = if arguments.remote { Some(Checker::new(&arguments.egress_allow)?) } else { None };
    let operator_namespace = arguments.operator_namespace.clone();
    let planner =
        Planner { live: Live::read(connection, &manifests).await?, manifests, rules, checker, operator_namespace };
    let report = planner.report().await?;
    let is_unanswered = report
        .plans
        .iter()
        .any(|plan| plan.remote.as_ref().is_some_and(|remote| remote.result == RemoteResult::Unanswered));
    let exit = match () {
        () if has_unread || is_unanswered => Exit::Usage,
        () if report.is_refused() => Exit::NeedsPerson,
        () if report.has_changes() => Exit::Failed,
        () => Exit::Succeeded,
    };
    exit.after(write(&report, arguments.output, terminal))
}

struct Planner<'c> {
    manifests: Manifests,
    rules: Rules,
    live: Live<'c>,
    checker: Option<Checker>,
    operator_namespace: String,
}

impl Planner<'_> {
    async fn report(&self) -> Result<Report, Failure> {
        let mut problems = validate(&self.manifests, &self.rules);
        let mut plans = Vec::new();
        for document in &self.manifests.deployments {
            let Some(name) = document.name() else { continue };
            let namespace = self.live.namespace_of(document);
            let live = self.live.get(namespace, name).await?;
            // The rules about changes need the live object.
            let found = of_document(document, &self.manifests, &self.rules, live.as_ref());
            let is_refused = found.iter().any(Problem::is_error);
            problems.extend(found);
            if is_refused {
                continue;
            }
            match self.plan(document, namespace, live.as_ref()).await? {
                Ok(plan) => plans.push(plan),
                Err(message) => problems.push(document.problem(Severity::Error, "spec", message)),
            }
        }
        problems.sort();
        problems.dedup();
        Ok(Report { plans, problems, ignored: self.manifests.ignored })
    }

    async fn plan(
        &self,
        document: &Document,
        namespace: &str,
        live: Option<&CognigyDeployment>,
    ) -> Result<Result<Plan, String>, Failure> {
        let mut desired = match document.deployment() {
            Ok(desired) => desired,
            Err(error) => return Ok(Err(error.to_string())),
        };
        desired.metadata.namespace = Some(namespace.to_owned());
        let mut notes = Vec::new();
        let texts = Texts {
            live: match live {
                Some(live) => self.live.text(live, None, &mut notes).await?,
                None => None,
            },
            desired: self.live.text(&desired, Some(&self.manifests), &mut notes).await?,
        };
        let planned = match plan(live, &desired, &texts, self.live.others()) {
            Ok(planned) => planned,
            Err(refused) => return Ok(Err(refused.to_string())),
        };
        let (gates, mut unread) = self.live.gates(namespace, &self.operator_namespace).await?;
        if desired.spec.approval.is_some() && gates.decisions.is_none() {
            unread.push(format!(
                "the CognigyDecisions of namespace {namespace} cannot be read: who has approved this plan is not known"
            ));
        }
        let mut plan = planned.with_gates(live, &desired, &gates);
        notes.extend(self.live.notes().iter().cloned().chain(unread));
        for note in notes {
            if !plan.notes.contains(&note) {
                plan.notes.push(note);
            }
        }
        if let Some(checker) = &self.checker
            && let Some(snapshot) = snapshot_of(&desired.spec, texts.desired.as_deref())
        {
            plan.remote = Some(checker.check(&desired, &snapshot, self.live.connection()).await?);
        }
        Ok(Ok(plan))
    }
}

fn write(report: &Report, format: Format, terminal: &Terminal) -> Result<(), Failure> {
    let wrong = |error: String| Failure::Usage(format!("the plan cannot be written: {error}"));
    match format {
        Format::Text => {
            let style = if terminal.has_color { Style::Colour } else { Style::Plain };
            let text = text(report, style);
            let text = if terminal.has_unicode {
                text
            } else {
                text.replace('→', "->").replace('…', "...").replace('×', "x")
            };
            terminal.line(&text)
        }
        Format::Markdown => terminal.line(&markdown(report)),
        Format::Json => terminal.line(&safe_json(&report.json().map_err(|error| wrong(error.to_string()))?)),
        Format::Yaml => terminal.line(&report.yaml().map_err(|error| wrong(error.to_string()))?),
    }
}
