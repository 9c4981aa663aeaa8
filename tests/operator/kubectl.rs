//! The resource as `kubectl` users see it.

use crate::support::*;
use std::process::{Output, Stdio};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

struct Kubectl<'w> {
    namespace: &'w TestNamespace,
}

impl Kubectl<'_> {
    async fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut kubectl = Command::new("kubectl")
            .arg("--kubeconfig")
            .arg(shared().await.cluster.kubeconfig())
            .args(["--namespace", &self.namespace.name])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("kubectl is on the PATH");
        let mut stdin = kubectl.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        timeout(DEADLINE, kubectl.wait_with_output()).await.expect("kubectl ends").unwrap()
    }

    async fn ok(&self, arguments: &[&str]) -> String {
        self.ok_with(arguments, "").await
    }

    async fn ok_with(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "kubectl {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[tokio::test]
async fn a_rollout_from_apply_to_delete() {
    let namespace = new_namespace().await;
    let kubectl = Kubectl { namespace: &namespace };
    let manifest = sample().object().to_string();
    kubectl.ok_with(&["apply", "-f", "-"], &manifest).await;
    kubectl.ok(&["wait", "--for=condition=Ready", "--timeout=60s", "cgd/bot"]).await;

    let table = kubectl.ok(&["get", "cognigydeployments"]).await;
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(lines.next().unwrap(), ["NAME", "ENVIRONMENT", "READY", "PHASE", "RUNS", "SINCE", "REASON", "AGE"]);
    let line = lines.next().unwrap();
    assert_eq!(line.len(), 8, "SINCE and AGE are there: {table}");
    assert_eq!((&line[..5], line[6]), (&["bot", ENVIRONMENT, "True", "Succeeded", "2.4.1"][..], "Succeeded"));
    let wide = kubectl.ok(&["get", "cgd", "-o", "wide"]).await;
    let heading: Vec<_> = wide.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(heading[8..], ["JOB", "ATTEMPT", "VERSION", "SUSPENDED", "MESSAGE"]);
    let line: Vec<_> = wide.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(line[8..12], [bot_job(&namespace).await.as_str(), "1", "2.4.1", "false"]);
    assert!(kubectl.ok(&["get", "cognigy"]).await.contains("bot"), "the category contains the resource");
    let described = kubectl.ok(&["describe", "cgd", "bot"]).await;
    assert!(described.contains("SubmitAccepted"), "events are shown:\n{described}");

    kubectl.ok(&["delete", "cgd", "bot", "--timeout=60s"]).await;
    assert_eq!(kubectl.ok(&["get", "cgd", "-o", "name"]).await, "");
}

#[tokio::test]
async fn people_see_the_version_that_they_name_and_naming_it_starts_no_attempt() {
    let namespace = new_namespace().await;
    let kubectl = Kubectl { namespace: &namespace };
    let mut manifest = sample().object();
    manifest["metadata"]["labels"] = json!({"app.kubernetes.io/version": "spring-7"});
    kubectl.ok_with(&["apply", "-f", "-"], &manifest.to_string()).await;
    let bot = namespace.resource("bot");
    bot.until_settled(1, Outcome::Succeeded).await;
    let runs = ["get", "cgd", "bot", "-o", "jsonpath={.status.running.configuration} {.status.running.attempt}"];
    assert_eq!(kubectl.ok(&runs).await, "spring-7 1");

    kubectl.ok(&["label", "cgd", "bot", "--overwrite", "app.kubernetes.io/version=spring-8"]).await;
    let patch = r#"{"spec": {"displayVersion": "Summer release"}}"#;
    kubectl.ok(&["patch", "cgd", "bot", "--type=merge", "-p", patch]).await;
    kubectl.ok(&["wait", "--for=jsonpath={.status.observedGeneration}=2", "--timeout=60s", "cgd/bot"]).await;
    assert_eq!(kubectl.ok(&runs).await, "spring-7 1");

    let remove = r#"[{"op": "remove", "path": "/spec/displayVersion"}]"#;
    kubectl.ok(&["patch", "cgd", "bot", "--type=json", "-p", remove]).await;
    kubectl.ok(&["annotate", "cgd", "bot", "deploy.cognigy.ai/retry=1"]).await;
    bot.until_settled(2, Outcome::Succeeded).await;
    assert_eq!(kubectl.ok(&runs).await, "spring-8 2");
}

/// A row of the events at the end of `kubectl describe`.
#[derive(Debug)]
struct EventRow {
    kind: String,
    reason: String,
    from: String,
    message: String,
}

/// The events, in the order in which `kubectl describe` prints them.
fn event_rows(described: &str) -> Vec<EventRow> {
    let (_, events) = described.split_once("\nEvents:").unwrap();
    let rows = events.lines().skip_while(|line| !line.trim_start().starts_with("----")).skip(1);
    let events = rows.map(|row| {
        // At least two spaces separate the columns: type, reason, age, from, message.
        let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        let [kind, reason, _age, from, message] = cells[..] else {
            panic!("the row does not have five columns: {row}")
        };
        let [kind, reason, from, message] = [kind, reason, from, message].map(str::to_owned);
        EventRow { kind, reason, from, message }
    });
    events.collect()
}

#[tokio::test]
async fn describe_shows_the_events_of_a_bad_rollout_in_order_and_as_plain_sentences() {
    let namespace = with_environment("deploymentsAreUnhealthy: true").await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, Outcome::RolledBack).await;
    bot.until_event("Normal", Reason::HealthGood).await;
    let kubectl = Kubectl { namespace: &namespace };
    let described = kubectl.ok(&["describe", "cgd", "bot"]).await;
    let rows = event_rows(&described);

    let story: Vec<String> = rows.iter().map(|event| format!("{} {}", event.kind, event.reason)).collect();
    let expected = [
        "Normal AttemptStarted",
        "Normal SubmitAccepted",
        "Normal JobCompleted",
        "Warning HealthBad",
        "Warning HealthCheckFailed",
        "Normal RollingBack",
        "Warning RolledBack",
        "Normal HealthGood",
    ];
    assert_eq!(story, expected, "{described}");
    for event in &rows {
        let EventRow { from, message, reason, .. } = event;
        assert_eq!(from, "cognigy-operator", "{event:?}");
        assert!((10..=200).contains(&message.len()), "the length of a sentence: {event:?}");
        assert!(!message.contains(reason), "the message does not just repeat the reason: {event:?}");
        let of_a_program = ["Some(", "None", "{", "}", "::", "\\", "_"];
        let is_job = |word: &str| word.trim_matches(|letter: char| !letter.is_alphanumeric()).starts_with("job_");
        let prose: String = message.split(' ').filter(|word| !is_job(word)).collect();
        assert!(!of_a_program.iter().any(|text| prose.contains(text)), "no debug output in the message: {event:?}");
    }
}

async fn bot_job(namespace: &TestNamespace) -> String {
    namespace.resource("bot").get().await.attempt().job_id().unwrap().as_str().to_owned()
}

#[tokio::test]
async fn explain_says_what_a_field_means() {
    let namespace = plan().await.without_operator().start().await;
    let kubectl = Kubectl { namespace: &namespace };
    let field = "cognigydeployment.spec.rollbackPolicy.healthThreshold";
    let explained = kubectl.ok(&["explain", field]).await.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        explained.contains("How many bad health answers in a row make a rollout fail, from 1 to 100."),
        "{explained}"
    );
}

#[tokio::test]
async fn a_server_side_dry_run_refuses_an_invalid_resource() {
    let namespace = plan().await.without_operator().start().await;
    let kubectl = Kubectl { namespace: &namespace };
    let wrong = sample().with(json!({"rollbackPolicy": {"healthThreshold": 0}})).object().to_string();
    let output = kubectl.run(&["apply", "--dry-run=server", "-f", "-"], &wrong).await;
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("healthThreshold must be from 1 to 100"), "{error}");
}

#[tokio::test]
async fn a_misspelt_field_is_refused() {
    let namespace = plan().await.without_operator().start().await;
    let kubectl = Kubectl { namespace: &namespace };
    let wrong = sample().with(json!({"rollbackPolicy": {"healthTreshold": 3}})).object().to_string();
    let output = kubectl.run(&["apply", "-f", "-"], &wrong).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("healthTreshold"), "{error}");
}

#[tokio::test]
async fn the_crd_that_the_operator_prints_can_be_applied_server_side() {
    let namespace = plan().await.without_operator().start().await;
    let printed = Command::new(env!("CARGO_BIN_EXE_cognigy-operator")).arg("crd").output().await.unwrap();
    let definition = String::from_utf8(printed.stdout).unwrap();
    let kubectl = Kubectl { namespace: &namespace };
    let applied = kubectl.ok_with(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &definition).await;
    assert!(applied.contains("cognigydeployments.deploy.cognigy.ai serverside-applied"), "{applied}");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/");
    kubectl.ok(&["apply", "--server-side", "--force-conflicts", "-f", file]).await;
}
