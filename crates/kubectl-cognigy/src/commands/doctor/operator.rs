//! The operator: its Deployment, its Lease, and its last write.

use super::check::Check;
use crate::commands::deployments::Listed;
use crate::connection::Connection;
use crate::exit::causes;
use crate::output::{age, short_duration};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

/// The operator's Lease, and the label of its Deployment.
const NAME: &str = "cognigy-operator";
/// If the operator has not seen a change of a spec after this time, it probably does not watch the resource.
const UNSEEN: SignedDuration = SignedDuration::from_secs(60);

/// How many deployments that the operator has not seen are listed.
const MOST_UNSEEN: usize = 20;

/// What can be known about the operator.
pub struct Operator {
    deployment: Known<Deployment>,
    lease: Known<Lease>,
}

/// Something that the caller may or may not be allowed to read.
enum Known<T> {
    Found(Box<T>),
    Absent,
    Hidden,
    /// There was no answer, or another one than expected.
    Unanswered(String),
}

impl Operator {
    /// Looks for the operator in all namespaces.
    pub async fn find(connection: &Connection) -> Self {
        let labelled = ListParams::default().labels(&format!("app.kubernetes.io/name={NAME}"));
        let deployments: Api<Deployment> = Api::all(connection.client.clone());
        let deployment = known(deployments.list(&labelled).await.map(|list| list.items.into_iter().next()));
        let named = ListParams::default().fields(&format!("metadata.name={NAME}"));
        let leases: Api<Lease> = Api::all(connection.client.clone());
        let newest = |list: Vec<Lease>| list.into_iter().max_by_key(renewed);
        let lease = known(leases.list(&named).await.map(|list| newest(list.items)));
        Self { deployment, lease }
    }

    /// Whether it is installed and alive.
    #[must_use]
    pub fn checks(&self) -> Vec<Check> {
        vec![self.deployed(), self.alive()]
    }

    /// The values of a flag, if the operator's Deployment can be read.
    #[must_use]
    pub fn flag(&self, flag: &str) -> Option<Vec<String>> {
        let Known::Found(deployment) = &self.deployment else { return None };
        let containers = &deployment.spec.as_ref()?.template.spec.as_ref()?.containers;
        let arguments: Vec<&String> = containers.iter().flat_map(|container| container.args.iter().flatten()).collect();
        let inline = arguments.iter().filter_map(|argument| argument.strip_prefix(flag)?.strip_prefix('='));
        let separate = arguments.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1].as_str());
        Some(inline.chain(separate).map(str::to_owned).collect())
    }

    fn deployed(&self) -> Check {
        let name = "operator";
        let deployment = match &self.deployment {
            Known::Found(deployment) => deployment,
            Known::Hidden => return Check::unknown(name, "you may not read Deployments, so its version is not known"),
            Known::Unanswered(problem) => return Check::unknown(name, format!("not checked: {problem}")),
            Known::Absent => {
                return Check::warning(
                    name,
                    format!("no Deployment has the label app.kubernetes.io/name={NAME}"),
                    "if the operator runs outside of the cluster, this is correct; otherwise install it: docs/install.md",
                );
            }
        };
        let place = format!("{}/{}", deployment.namespace().unwrap_or_default(), deployment.name_any());
        let spec = deployment.spec.as_ref();
        let containers = spec.and_then(|spec| spec.template.spec.as_ref()).map(|pod| pod.containers.as_slice());
        let image = containers.and_then(|containers| containers.first()?.image.clone()).unwrap_or_default();
        let wanted = spec.and_then(|spec| spec.replicas).unwrap_or(1);
        let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default();
        let detail = format!("{place} runs {image}, {ready} of {wanted} replicas ready");
        match ready > 0 {
            true => Check::good(name, detail),
            false => Check::problem(
                name,
                detail,
                format!("look at its pods: kubectl -n {} get pods", deployment.namespace().unwrap_or_default()),
            )
            .about_operator(),
        }
    }

    fn alive(&self) -> Check {
        let name = "lease";
        let lease = match &self.lease {
            Known::Found(lease) => lease,
            Known::Hidden => {
                return Check::unknown(name, "you may not list Leases, so it is not known whether it is alive");
            }
            Known::Unanswered(problem) => return Check::unknown(name, format!("not checked: {problem}")),
            Known::Absent => {
                return Check::warning(
                    name,
                    format!("there is no Lease {NAME}"),
                    "an operator that was started without --leader-elect has no Lease; otherwise it has never run here",
                );
            }
        };
        let (Some(renewed), Some(spec)) = (renewed(lease), &lease.spec) else {
            return Check::unknown(name, format!("the Lease {NAME} was released, or never held"));
        };
        let lasts = SignedDuration::from_secs(spec.lease_duration_seconds.unwrap_or(15).into());
        let ago = Timestamp::now().duration_since(renewed);
        let holder = spec.holder_identity.clone().unwrap_or_default();
        match ago <= lasts * 2 {
            true => Check::good(name, format!("{holder} leads; renewed {} ago", short_duration(ago))),
            false => Check::problem(
                name,
                format!("{holder} renewed it {} ago, and no other replica has taken it over", short_duration(ago)),
                "the operator does not run: look at its pods and its log",
            )
            .about_operator(),
        }
    }
}

/// Whether the operator has looked at the deployments, by their statuses.
#[must_use]
pub fn acts_on(listed: &[Listed]) -> Vec<Check> {
    let now = Timestamp::now();
    let mut checks = Vec::new();
    let read = listed.iter().filter_map(|listed| listed.deployment.as_ref().ok());
    let last_write = read
        .clone()
        .flat_map(|deployment| deployment.managed_fields())
        .filter(|entry| entry.subresource.as_deref() == Some("status"));
    if let Some(last) = last_write.filter_map(|entry| entry.time.as_ref()).map(|time| time.0).max() {
        checks
            .push(Check::good("last write", format!("a status in this namespace was written {} ago", age(last, now))));
    }
    let mut unseen = 0;
    for deployment in read {
        let seen = deployment.status.as_ref().map_or(-1, |status| status.observed_generation);
        let generation = deployment.metadata.generation.unwrap_or_default();
        let changed = deployment
            .managed_fields()
            .iter()
            .filter(|entry| entry.subresource.is_none())
            .filter_map(|entry| entry.time.as_ref())
            .map(|time| time.0)
            .max();
        let waits = changed.map(|changed| now.duration_since(changed)).unwrap_or_default();
        if seen >= generation || waits <= UNSEEN {
            continue;
        }
        unseen += 1;
        if unseen <= MOST_UNSEEN {
            checks.push(
                Check::problem(
                    "unseen",
                    format!(
                        "{} was changed {} ago, and the operator has not seen it",
                        deployment.name_any(),
                        short_duration(waits)
                    ),
                    "does the operator watch this namespace (--namespace)? docs/troubleshooting.md#nothing-happens",
                )
                .about_operator(),
            );
        }
    }
    if unseen > MOST_UNSEEN {
        checks.push(Check::unknown("unseen", format!("and {} more, which are not listed", unseen - MOST_UNSEEN)));
    }
    checks
}

fn renewed(lease: &Lease) -> Option<Timestamp> {
    lease.spec.as_ref()?.renew_time.as_ref().map(|time| time.0)
}

fn known<T>(found: Result<Option<T>, kube::Error>) -> Known<T> {
    match found {
        Ok(Some(found)) => Known::Found(Box::new(found)),
        Ok(None) => Known::Absent,
        Err(kube::Error::Api(status)) if status.code == 403 => Known::Hidden,
        Err(error) => Known::Unanswered(causes(&error)),
    }
}
