//! The dashboard, checked against Grafana's documented "dashboard JSON model". Its queries are written out as rules, so
//! that promtool can check them.

use super::{read, root};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

const DASHBOARD: &str = "charts/cognigy-operator/files/dashboard.json";
const QUERIES: &str = "dev/tools/promtool/dashboard.yaml";

/// The kinds of panels in the dashboard. All are part of Grafana.
const PANELS: [&str; 4] = ["row", "stat", "table", "timeseries"];

/// Variables that Grafana replaces, and the values that promtool gets in their place.
const BUILT_IN: [(&str, &str); 1] = [("$__rate_interval", "5m")];

const HEAD: &str = "\
# The queries of the dashboard as rules, so that `promtool check rules` can check them.
# Generated: UPDATE_DOCS=1 cargo test --lib documents::dashboard
";

fn dashboard() -> Value {
    serde_json::from_str(&read(DASHBOARD)).unwrap()
}

/// Each query, with the number of its panel and its letter.
fn queries(dashboard: &Value) -> Vec<(u64, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let found: Vec<_> = panels
        .flat_map(|panel| {
            let targets = panel["targets"].as_array().into_iter().flatten();
            targets.map(|target| (panel["id"].as_u64().unwrap(), text(&target["refId"]), text(&target["expr"])))
        })
        .collect();
    assert!(found.len() > 20, "too few queries were found");
    found
}

#[test]
fn it_can_be_imported_into_any_grafana() {
    let dashboard = dashboard();
    assert!(dashboard.get("id").is_none_or(Value::is_null), "an id belongs to the database of one Grafana");
    let uid = dashboard["uid"].as_str().unwrap();
    assert!((1..=40).contains(&uid.len()) && uid.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-'));
    assert!(dashboard["title"].as_str().is_some_and(|title| !title.is_empty()));
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|version| (36..=41).contains(&version)));
    assert!(dashboard["time"]["from"].is_string() && dashboard["time"]["to"].is_string());
    for panel in dashboard["panels"].as_array().unwrap() {
        let kind = panel["type"].as_str().unwrap();
        assert!(PANELS.contains(&kind), "{kind} is a plugin that a Grafana may lack");
        let mut letters = BTreeSet::new();
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert!(
                letters.insert(target["refId"].as_str().unwrap()),
                "{}: two queries have the same letter",
                panel["title"]
            );
            assert_eq!(target["datasource"]["type"], "prometheus", "{}", panel["title"]);
        }
        assert_eq!(
            letters.is_empty(),
            kind == "row",
            "{}: a row has no queries, and every other panel has some",
            panel["title"]
        );
    }
}

#[test]
fn every_used_variable_is_declared_and_every_declared_one_is_used() {
    let dashboard = dashboard();
    let declared: BTreeSet<String> = dashboard["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| variable["name"].as_str().unwrap().to_owned())
        .collect();
    let text = dashboard["panels"].to_string();
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let named: BTreeSet<String> = text
        .split('$')
        .skip(1)
        .map(|rest| rest.trim_start_matches('{').chars().take_while(|letter| is_name(*letter)).collect::<String>())
        .filter(|name| BUILT_IN.iter().all(|(known, _)| known.trim_start_matches('$') != name))
        .collect();
    assert_eq!(named, declared, "{DASHBOARD}: left: the variables in use; right: the declared ones");
}

#[test]
fn its_queries_are_written_out_for_promtool() {
    let mut generated = format!("{HEAD}groups:\n  - name: dashboard\n    rules:\n");
    for (panel, letter, query) in queries(&dashboard()) {
        let query = BUILT_IN.iter().fold(query, |query, (variable, value)| query.replace(variable, value));
        writeln!(generated, "      - {{record: 'panel:{panel}:{letter}', expr: {}}}", Value::String(query)).unwrap();
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(root().join(QUERIES), &generated).unwrap();
    }
    assert!(read(QUERIES) == generated, "{QUERIES} differs from {DASHBOARD}: run this test with UPDATE_DOCS=1");
}
