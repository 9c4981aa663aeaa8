//! Plans for people and programs.

use super::plans::{live, object};
use super::sample_with;
use crate::plan::{Plan, Texts, plan};
use crate::problem::Problem;
use crate::render::{LARGEST_COMMENT, Report, Style, markdown, text};
use serde_json::{Value, json};

fn planned(patch: &Value) -> Plan {
    plan(Some(&live("Settled", Some("Succeeded"))), &object(&sample_with(patch)), &Texts::default(), &[]).unwrap()
}

fn report(plans: Vec<Plan>) -> Report {
    Report { plans, problems: Vec::new(), ignored: 0 }
}

#[test]
fn text_says_everything_without_colour() {
    let plan =
        planned(&json!({"configurationSnapshot": {"botVersion": "2.4.2", "integrations": null, "flow": {"a": 1}}}));
    let id = plan.plan_id.clone().unwrap();
    let report = report(vec![plan]);
    let plain = text(&report, Style::Plain);
    assert_eq!(
        plain,
        format!(
            "\
CognigyDeployment bots/customer-service-prod (environment env_prod_us_01): a new attempt, because of the snapshot
  ~ configurationSnapshot.botVersion: \"2.4.1\" → \"2.4.2\"
  + configurationSnapshot.flow: {{\"a\":1}}
  - configurationSnapshot.integrations: [\"salesforce_crm\",\"sap_erp\"]
  configuration: 2.4.1 → 2.4.2
  next: attempt 8 starts at once
  plan: {id}
"
        )
    );
    let coloured = text(&report, Style::Colour);
    assert!(coloured.contains("\u{1b}[32m+ configurationSnapshot.flow"), "{coloured}");
    let mut without = coloured;
    for code in ["\u{1b}[1m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[0m"] {
        without = without.replace(code, "");
    }
    assert_eq!(without, plain, "colour says nothing that signs and words do not say");
}

#[test]
fn control_characters_of_a_manifest_do_not_reach_the_terminal() {
    let plan = planned(&json!({"configurationSnapshot": {"a\u{1b}[2J": "b", "c": "\u{9b}2J"}}));
    assert!(!text(&report(vec![plan]), Style::Plain).contains(['\u{1b}', '\u{9b}']));
}

#[test]
fn markdown_fits_a_comment_and_nothing_in_a_manifest_breaks_out_of_it() {
    let plan = planned(&json!({"configurationSnapshot": {"a": "```\n</details> @all", "b": "````"}}));
    let comment = markdown(&report(vec![plan]));
    assert!(
        comment
            .contains("| `bots/customer-service-prod` | `env_prod_us_01` | a new attempt, because of the snapshot |"),
        "{comment}"
    );
    assert!(comment.contains("\n`````diff\n"), "the fence is longer than any run of backticks:\n{comment}");
    assert_eq!((comment.matches("<details>").count(), comment.matches("\n</details>\n").count()), (1, 1));

    let fields: serde_json::Map<String, Value> =
        (0..3000).map(|number| (format!("key{number}"), json!("x".repeat(100)))).collect();
    let plans: Vec<Plan> = (0..40).map(|_| planned(&json!({"configurationSnapshot": fields}))).collect();
    let problems = (0..2000).map(|number| Problem::of_file(&format!("{number}.yaml"), "wrong")).collect();
    let comment = markdown(&Report { plans, problems, ignored: 0 });
    assert!(comment.len() <= LARGEST_COMMENT, "{}", comment.len());
    assert!(
        comment.contains("… and ") && comment.contains("are left out, because a comment cannot be larger"),
        "{comment}"
    );
    assert_eq!(comment.matches("<details>").count(), comment.matches("\n</details>\n").count());
}

#[test]
fn json_and_yaml_say_the_same() {
    let report = report(vec![planned(&json!({"configurationSnapshot": {"botVersion": "2.4.2"}}))]);
    let json: Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    let yaml: Value = serde_saphyr::from_str(&report.yaml().unwrap()).unwrap();
    assert_eq!(json, yaml);
    assert_eq!(json["plans"][0]["next"]["event"], "Starts");
    assert_eq!(
        json["plans"][0]["changes"][0],
        json!({"path": "configurationSnapshot.botVersion", "action": "Changed", "old": "\"2.4.1\"", "new": "\"2.4.2\""})
    );
}

#[test]
fn a_plan_says_how_health_is_watched_after_the_success_if_it_is() {
    let of = |after_success: &Value| report(vec![planned(&json!({"monitoring": {"afterSuccess": after_success}}))]);
    for (after_success, says) in [
        (
            json!({}),
            "health is watched every 300 s; after 3 bad answers in a row, Ready becomes False, and nothing is rolled back",
        ),
        (
            json!({"intervalSeconds": 60, "healthThreshold": 1, "onUnhealthy": "Rollback"}),
            "health is watched every 60 s; after 1 bad answer, the operator rolls back, once",
        ),
    ] {
        let report = of(&after_success);
        let plain = text(&report, Style::Plain);
        assert!(plain.contains(&format!("\n  after success: {says}\n")), "{plain}");
        let comment = markdown(&report);
        assert!(comment.contains(&format!("\nAfter success: {says}\n")), "{comment}");
    }
    let json: Value = serde_json::from_str(&of(&json!({"intervalSeconds": 60})).json().unwrap()).unwrap();
    let expected = json!({"intervalSeconds": 60, "healthThreshold": 3, "onUnhealthy": "Report"});
    assert_eq!(json["plans"][0]["afterSuccess"], expected);
    let without: Value = serde_json::from_str(&of(&Value::Null).json().unwrap()).unwrap();
    assert!(
        without["plans"][0].get("afterSuccess").is_none()
            && !text(&of(&Value::Null), Style::Plain).contains("after success")
    );
}
