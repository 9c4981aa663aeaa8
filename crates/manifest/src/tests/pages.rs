//! docs/plan.md says what the code does.

use super::plans::{live, object};
use super::{problems_of, sample_with};
use crate::plan::{Event, Kind, RemoteResult, Texts, plan};
use crate::render::{Report, Style, text};
use serde_json::{Value, json};

fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/plan.md")).unwrap()
}

#[test]
fn the_page_shows_a_real_plan() {
    let desired = json!({"configurationSnapshot": {"botVersion": "2.4.2", "integrations": null, "flow": {"a": 1}}});
    let plan = plan(Some(&live("Settled", Some("Succeeded"))), &object(&sample_with(&desired)), &Texts::default(), &[]);
    let shown = text(&Report { plans: vec![plan.unwrap()], ..Report::default() }, Style::Plain);
    assert!(page().contains(&format!("```\n{shown}```")), "docs/plan.md must show this:\n{shown}");
}

#[test]
fn the_page_names_each_field_and_each_word_of_a_report() {
    let page = page();
    let desired = json!({"configurationSnapshot": {"botVersion": "2.4.2"}});
    let plan = plan(Some(&live("RollingOut", None)), &object(&sample_with(&desired)), &Texts::default(), &[]).unwrap();
    let report = Report { plans: vec![plan], problems: Vec::new(), ignored: 0 };
    let report: Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    let mut words: Vec<String> = report["plans"][0].as_object().unwrap().keys().cloned().collect();
    words.extend(report["plans"][0]["next"].as_object().unwrap().keys().cloned());
    words.extend(report["plans"][0]["changes"][0].as_object().unwrap().keys().cloned());
    for kind in [Kind::Nothing, Kind::Metadata, Kind::Shown, Kind::Settings, Kind::Checks, Kind::Attempt, Kind::Unknown]
    {
        words.push(word(kind));
    }
    for event in [
        Event::Nothing,
        Event::Starts,
        Event::Replaces,
        Event::ChecksAgain,
        Event::WaitsForAttempt,
        Event::WaitsWhileSuspended,
        Event::WaitsForConfigMap,
        Event::RollsBack,
        Event::Retries,
        Event::EnvironmentInUse,
        Event::Deleted,
        Event::Unknown,
    ] {
        words.push(word(event));
    }
    for result in
        [RemoteResult::Passed, RemoteResult::ValidationRefused, RemoteResult::TraceRefused, RemoteResult::Unanswered]
    {
        words.push(word(result));
    }
    for word in words {
        assert!(page.contains(&format!("`{word}`")), "docs/plan.md does not name {word}");
    }
}

/// The word of a value in JSON.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

#[test]
fn the_page_says_how_each_scalar_is_read() {
    let read = |scalar: &str| {
        problems_of(&format!(
            "apiVersion: deploy.cognigy.ai/v1alpha1\nkind: CognigyDeployment\nmetadata: {{name: a}}\nspec:\n  environmentId: e\n  configurationSnapshot: {{v: {scalar}}}\n"
        ))
    };
    for (scalar, value) in [
        ("yes", "true"),
        ("off", "false"),
        ("0644", "420"),
        ("0699", "699"),
        ("1_000", "1000"),
        ("0b11", "3"),
        ("123456789012345678901234567890", "1.2345678901234568e+29"),
    ] {
        let problems = read(scalar);
        assert!(problems.len() == 1 && problems[0].contains("warning") && problems[0].contains(value), "{problems:?}");
        assert!(page().contains(scalar) && page().contains(value));
    }
}
