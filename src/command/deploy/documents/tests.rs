#![allow(clippy::unwrap_used)]

use super::*;

const DEPLOYMENT: &str = "\
apiVersion: deploy.cognigy.ai/v1alpha1
kind: CognigyDeployment
metadata: {name: bot, namespace: bots}
spec:
  environmentId: env
  configurationSnapshot: {botVersion: 2.4.1, weight: 1.50}
";
const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata: {name: api}
data: {clientId: ZGVtbw==}
stringData: {clientSecret: s3cr3t}
";
const MAP: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: flows, namespace: bots}
data: {snapshot: '{}'}
";

fn read(parts: &[&str]) -> Result<Documents, String> {
    documents_of(&parts.join("---\n")).map_err(|error| said(&error))
}

/// Everything that is printed about an error.
fn said(error: &DocumentsError) -> String {
    let lines = match error {
        DocumentsError::Invalid { lines, .. } => lines.join("\n"),
        _ => String::new(),
    };
    format!("{lines}\n{error}")
}

#[test]
fn a_deployment_and_what_it_refers_to_are_read_as_kubectl_sends_them() {
    let found = read(&["# nothing\n", DEPLOYMENT, SECRET, MAP, "\n"]).unwrap();
    let snapshot = found.deployment.spec.configuration_snapshot.unwrap();
    assert_eq!(snapshot.text(), r#"{"botVersion":"2.4.1","weight":1.5}"#);
    let data = found.secrets["api"].data.as_ref().unwrap();
    assert_eq!((data["clientId"].0.as_slice(), data["clientSecret"].0.as_slice()), (&b"demo"[..], &b"s3cr3t"[..]));
    assert_eq!(found.config_maps["flows"].data.as_ref().unwrap()["snapshot"], "{}");
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
}

#[test]
fn what_cannot_be_used_is_refused_with_what_to_do_and_without_secrets() {
    let elsewhere = SECRET.replace("{name: api}", "{name: api, namespace: others}");
    let there = SECRET.replace("{name: api}", "{name: api, namespace: bots}");
    let map_there = MAP.replace(", namespace: bots", "");
    let wrong = SECRET.replace("ZGVtbw==", "s3cr3t!");
    let hook = format!("{DEPLOYMENT}  webhook: 'https://ci.example.com/s3cr3t'\n");
    let unknown = format!("{DEPLOYMENT}  webook: {{url: 'https://ci.example.com/s3cr3t'}}\n");
    let outside = DEPLOYMENT.replace("name: bot,", "name: ../../etc/passwd,");
    for (parts, says) in [
        (&[SECRET][..], "has no CognigyDeployment"),
        (&[DEPLOYMENT, DEPLOYMENT], "more than one CognigyDeployment"),
        (
            &[DEPLOYMENT, &elsewhere],
            "Secret api in the manifest is not in the namespace of the CognigyDeployment; set its namespace to bots",
        ),
        (&[DEPLOYMENT, SECRET, SECRET], "Secret api in the manifest is there twice"),
        (&[DEPLOYMENT, SECRET, &there], "Secret api in the manifest is there twice"),
        (&[DEPLOYMENT, MAP, &map_there], "ConfigMap flows in the manifest is there twice"),
        (&[DEPLOYMENT, MAP, MAP], "the same ConfigMap is there twice"),
        (&[DEPLOYMENT, &wrong], "-:11 (document 2, Secret api): data.clientId: it is no base64 text"),
        (&[&hook], "-:7 (CognigyDeployment bots/bot): spec.webhook: a text is here; write an object"),
        (&[&unknown], "spec.webook: there is no such field; write webhook"),
        (&[DEPLOYMENT, "a: 1\n"], "it has no apiVersion or no kind"),
        (&["a: [\n"], "it is not YAML"),
        (&[&DEPLOYMENT.replace("env\n", "[]\n")], "spec.environmentId: a list is here; write a text"),
        (&[&outside], "metadata.name: write lower-case letters"),
    ] {
        let refused = read(parts).err().unwrap();
        assert!(refused.contains(says) && !refused.contains("s3cr3t"), "{says}: {refused}");
    }
}

#[test]
fn what_is_too_large_is_not_read() {
    let long = format!("{DEPLOYMENT}# {}", "x".repeat(manifest::read::LARGEST_DOCUMENT));
    assert!(read(&[&long]).err().unwrap().contains("4194304 are read"));
    let deep = format!("a: {}{}\n", "[".repeat(200), "]".repeat(200));
    assert!(read(&[&deep]).err().unwrap().contains("levels deep"));
}

#[test]
fn what_is_of_no_use_is_named_in_one_line() {
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: bots}\n";
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: bots}\n";
    let found = read(&[DEPLOYMENT, namespace, account, namespace]).unwrap();
    assert_eq!(found.warnings, ["3 objects of no use without a cluster ignored: Namespace, ServiceAccount"]);
}

#[test]
fn a_warning_of_the_validation_is_shown_as_validate_prints_it() {
    let found = read(&[&DEPLOYMENT.replace("weight: 1.50", "weight: yes")]).unwrap();
    let [line] = found.warnings.as_slice() else { panic!("{:?}", found.warnings) };
    assert!(
        line.starts_with(
            "-:6 (CognigyDeployment bots/bot): warning: spec.configurationSnapshot.weight: kubectl reads yes as true"
        ),
        "{line}"
    );
}

#[test]
fn a_manifest_with_gates_is_refused_with_the_reason_and_what_to_do_instead() {
    let approval = "  approval: {required: 2}\n";
    let requires = "  requires: [{name: staging}]\n";
    for (gates, fields, instead) in [
        (approval.to_owned(), "spec.approval", "ask for the approval"),
        (requires.to_owned(), "spec.requires", "run the jobs in this order"),
        (
            format!("{approval}{requires}"),
            "spec.approval and spec.requires",
            "ask for the approval and run the jobs in this order",
        ),
    ] {
        let refused = read(&[&format!("{DEPLOYMENT}{gates}")]).err().unwrap();
        for part in [
            format!("CognigyDeployment bots/bot sets {fields}, and `cognigy-operator deploy` cannot evaluate that"),
            "no decisions of people and no other CognigyDeployments".to_owned(),
            "let the operator in a cluster deploy it".to_owned(),
            format!("remove {fields} from this manifest and {instead} in the pipeline"),
        ] {
            assert!(refused.contains(&part), "{part}: {refused}");
        }
    }
    let none_required = read(&[&format!("{DEPLOYMENT}  requires: []\n  allowedDownstreamNamespaces: [prod]\n")]);
    assert!(none_required.unwrap().warnings.is_empty(), "nothing is asked of anybody");
}

#[test]
fn watching_after_the_success_has_no_effect_and_one_line_says_so() {
    let found = read(&[&format!("{DEPLOYMENT}  monitoring: {{afterSuccess: {{onUnhealthy: Rollback}}}}\n")]).unwrap();
    let [line] = found.warnings.as_slice() else { panic!("{:?}", found.warnings) };
    let said = "CognigyDeployment bots/bot sets spec.monitoring.afterSuccess, which has no effect here: the run ends";
    assert!(line.starts_with(said), "{line}");
}
