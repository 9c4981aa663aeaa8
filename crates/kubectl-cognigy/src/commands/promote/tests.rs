//! The page shows a real promotion, and the output says what the file alone does not do.

use super::*;
use crate::arguments::Arguments as CommandLine;
use crate::commands::Command;
use clap::Parser;

const HEAD: &str = "\
apiVersion: deploy.cognigy.ai/v1alpha1
kind: CognigyDeployment
metadata:
  name: customer-service
";

fn staging() -> String {
    format!(
        "{HEAD}  namespace: bots-staging
spec:
  environmentId: env_staging_us_01
  configurationSnapshot:
    botVersion: \"2.5.0\"
    integrations: [salesforce_crm, sap_erp]
  dependencyLocks:
    - {{packageName: cognigy-nlp-core, version: 3.3.0}}
  monitoring: {{intervalSeconds: 15}}
"
    )
}

fn production() -> String {
    format!(
        "{HEAD}  namespace: bots-production
spec:
  environmentId: env_prod_us_01
  configurationSnapshot:
    botVersion: \"2.4.1\"
    integrations: [salesforce_crm]
  # tested with these
  dependencyLocks:
    - {{packageName: cognigy-nlp-core, version: 3.2.0}}
  capacityConstraints: {{maxConcurrentSessions: 500}} # agreed with the platform team
"
    )
}

const TERMINAL: Terminal =
    Terminal { is_interactive: false, has_color: false, notes_have_color: false, has_unicode: true, width: None };

/// What is printed for a promotion to `prod/bot.yaml`: the text, and the summary.
fn said(from: &str, to: &str, is_dry: bool) -> (String, Summary) {
    let place = |file, text| Place { file, text, name: None, flag: "--name" };
    let promotion = promote(&place("staging/bot.yaml", from), &place("prod/bot.yaml", to)).unwrap();
    let is_written = !is_dry && !promotion.fields.is_empty();
    let summary = summary("prod/bot.yaml", &promotion, to, is_written, is_dry);
    (in_words(&summary, &promotion, &TERMINAL).join("\n"), summary)
}

#[test]
fn the_page_shows_a_real_promotion() {
    let page = include_str!("../../../../../docs/by-hand.md");
    let (dry, summary) = said(&staging(), &production(), true);
    let shown = format!(
        "$ kubectl cognigy promote staging/bot.yaml prod/bot.yaml --dry-run\n{}{dry}\n```",
        summary.diff.unwrap()
    );
    assert!(page.contains(&shown), "docs/by-hand.md must show this:\n{shown}");
    let (done, _) = said(&staging(), &production(), false);
    let shown = format!("$ kubectl cognigy promote staging/bot.yaml prod/bot.yaml\n{done}\n```");
    assert!(page.contains(&shown), "docs/by-hand.md must show this:\n{shown}");
}

#[test]
fn a_config_map_is_named_because_it_is_not_copied() {
    let from = |hash: &str| {
        format!(
            "{HEAD}spec:\n  displayVersion: '3'\n  configurationSnapshotFrom:\n    configMapKeyRef: {{name: bot-3, key: snapshot{hash}}}\n"
        )
    };
    let (text, summary) = said(&from(""), &production(), false);
    assert!(
        text.contains(
            "the ConfigMap bot-3 must exist in the namespace bots-production, and its key snapshot must hold the same text"
        ),
        "{text}"
    );
    assert!(text.contains("version 2.4.1 (v1:49bd85836b2f) → version 3; changed: spec.displayVersion, "), "{text}");
    assert!(summary.digest.is_none() && summary.digest_before.is_some());
    let hash = "a".repeat(64);
    let (text, _) = said(&from(&format!(", sha256: {hash}")), &production(), false);
    assert!(text.contains(&format!("must hold a text with the SHA-256 {hash}")), "{text}");
}

#[test]
fn nothing_to_do_is_said() {
    let (text, summary) = said(&staging(), &staging(), false);
    let expected = "prod/bot.yaml: CognigyDeployment bots-staging/customer-service already has version 2.5.0 (";
    assert!(text.starts_with(expected) && text.ends_with("); nothing to do"), "{text}");
    assert!(!summary.written && summary.changed.is_empty());
}

#[test]
fn a_file_is_changed_unless_it_is_a_dry_run_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
    write("from.yaml", &staging());
    write("to.yaml", &production());
    write("braces.yaml", &format!("{HEAD}spec: {{environmentId: e}}\n"));
    let promote = |to: &str, flags: &[&str]| {
        let (from, target) = (path("from.yaml"), path(to));
        let line = [&["kubectl-cognigy", "promote", &from, &target], flags].concat();
        let Command::Promote(arguments) = CommandLine::try_parse_from(line).unwrap().command else { panic!() };
        let exit = run(&arguments, &TERMINAL).map_err(|failure| failure.to_string());
        (exit, std::fs::read_to_string(path(to)).unwrap())
    };
    assert_eq!(promote("to.yaml", &["--dry-run"]), (Ok(Exit::Succeeded), production()));
    let (exit, text) = promote("braces.yaml", &[]);
    assert!(
        exit.unwrap_err().contains("braces.yaml:5 (CognigyDeployment customer-service): spec: it is written in braces")
    );
    assert!(text.contains("spec: {environmentId: e}"));
    let (exit, text) = promote("to.yaml", &["-o", "json"]);
    assert_eq!(exit, Ok(Exit::Succeeded));
    assert_eq!(
        text,
        production()
            .replace("2.4.1", "2.5.0")
            .replace("salesforce_crm]", "salesforce_crm, sap_erp]")
            .replace("3.2.0", "3.3.0")
    );
    assert_eq!(promote("to.yaml", &["--name", "customer-service"]), (Ok(Exit::Succeeded), text));
}

#[test]
fn a_file_name_is_quoted_for_the_shell() {
    assert_eq!(quoted("prod/bot.yaml"), "prod/bot.yaml");
    assert_eq!(quoted("a b's.yaml"), "'a b'\\''s.yaml'");
}
