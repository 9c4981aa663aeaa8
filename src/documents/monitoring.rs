//! The dashboard and the alerts: every metric that they query exists, and every alert names a page that says what to
//! do.

use super::metrics::{Metric, listed};
use super::pages::headings;
use super::read;
use api::reason::Reason;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const DASHBOARD: &str = "charts/cognigy-operator/files/dashboard.json";
const ALERTS: &str = "charts/cognigy-operator/files/alerts.yaml";
const ALERT_TESTS: &str = "dev/tools/promtool/alerts_test.yaml";
const RUNBOOKS: &str = "docs/runbooks.md";

/// The labels that Prometheus adds for the scraped target.
const OF_THE_TARGET: [&str; 2] = ["namespace", "instance"];

#[test]
fn the_dashboard_queries_every_metric_and_no_unknown_one() {
    let panels = panels();
    let queries = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let mut asked = BTreeSet::new();
    for query in queries {
        asked.extend(check_query(query["expr"].as_str().unwrap()));
        assert_eq!(query["datasource"]["uid"], "${datasource}", "{query}");
    }
    let measured: BTreeSet<String> = listed().into_keys().collect();
    // Other metrics on the dashboard show the same more clearly: the limit, and the waiting rollbacks.
    let left_out = ["budget_clients", "budget_reserve_free_requests", "budget_reserve_requests"];
    let shown: BTreeSet<String> =
        asked.into_iter().chain(left_out.map(|name| format!("cognigy_operator_{name}"))).collect();
    assert_eq!(shown, measured, "left: the metrics in {DASHBOARD}; right: the measured ones");
}

#[test]
fn the_panels_of_the_dashboard_do_not_overlap_and_each_has_a_description() {
    let mut cells = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels() {
        let number = |field: &str| panel["gridPos"][field].as_u64().unwrap();
        assert!(ids.insert(panel["id"].as_u64()), "{} has the id of another panel", panel["title"]);
        assert!(number("x") + number("w") <= 24, "{} extends beyond the grid", panel["title"]);
        for cell in (number("x")..number("x") + number("w"))
            .flat_map(|x| (number("y")..number("y") + number("h")).map(move |y| (x, y)))
        {
            assert!(cells.insert(cell), "{} covers another", panel["title"]);
        }
        let is_row = panel["type"] == "row";
        assert!(is_row || panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{}", panel["title"]);
    }
}

#[test]
fn every_alert_uses_existing_metrics_and_has_a_severity() {
    let mut alerts = 0;
    for rule in rules() {
        check_query(rule["expr"].as_str().unwrap());
        assert!(matches!(rule["labels"]["severity"].as_str(), Some("critical" | "warning")), "{rule}");
        for text in ["summary", "description"] {
            assert!(rule["annotations"][text].is_string(), "{rule}");
        }
        alerts += 1;
    }
    assert!(alerts > 10, "too few alerts were found");
}

#[test]
fn every_alert_links_to_its_runbook_and_every_runbook_belongs_to_an_alert() {
    let page = read(RUNBOOKS);
    let mut names = BTreeSet::new();
    for rule in rules() {
        let name = rule["alert"].as_str().unwrap();
        let url = rule["annotations"]["runbook_url"].as_str().unwrap();
        assert!(url.ends_with(&format!("{RUNBOOKS}#{}", name.to_lowercase())), "{name}: {url}");
        assert!(headings(&page).contains(&name.to_lowercase()), "{RUNBOOKS} has no section for {name}");
        names.insert(name.to_owned());
    }
    let pages: BTreeSet<String> = page.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect();
    assert_eq!(pages, names, "left: the sections in {RUNBOOKS}; right: the alerts");
}

#[test]
fn every_alert_has_a_test_that_fires_it_and_one_that_does_not() {
    let tests: Value = serde_saphyr::from_str(&read(ALERT_TESTS)).unwrap();
    let tests = tests["tests"].as_array().unwrap();
    let (mut fired, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for case in tests.iter().flat_map(|test| test["alert_rule_test"].as_array().into_iter().flatten()) {
        let name = case["alertname"].as_str().unwrap().to_owned();
        if case["exp_alerts"].is_array() {
            fired.insert(name)
        } else {
            silent.insert(name)
        };
    }
    for sample in tests
        .iter()
        .flat_map(|test| test["promql_expr_test"].as_array().into_iter().flatten())
        .flat_map(|case| case["exp_samples"].as_array().into_iter().flatten())
    {
        fired.extend(sample["labels"].as_str().unwrap().split('"').nth(1).map(str::to_owned));
    }
    let names: BTreeSet<String> = rules().iter().map(|rule| rule["alert"].as_str().unwrap().to_owned()).collect();
    assert_eq!((&fired, &silent), (&names, &names), "{ALERT_TESTS}");
}

fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().clone();
    assert!(panels.len() > 20, "too few panels were found");
    panels
}

fn rules() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&read(ALERTS)).unwrap();
    let groups = file["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// Checks a query: its metrics exist, with the labels and values that it uses. Returns the metrics.
fn check_query(query: &str) -> BTreeSet<String> {
    let measured = listed();
    let mut metrics = BTreeSet::new();
    let mut labels: BTreeSet<String> = OF_THE_TARGET.iter().chain(&["le"]).map(|&label| label.to_owned()).collect();
    for (name, matchers) in selectors(query) {
        let (name, metric) =
            known(&measured, &name).unwrap_or_else(|| panic!("{name} is not a metric of the operator: {query}"));
        labels.extend(metric.labels.keys().cloned());
        metrics.insert(name.to_owned());
        for (label, values) in matchers {
            if OF_THE_TARGET.contains(&label.as_str()) {
                continue;
            }
            let allowed = metric.labels.get(&label).unwrap_or_else(|| panic!("{name} has no label {label}: {query}"));
            for value in values {
                let is_known = match allowed {
                    Some(allowed) => allowed.contains(&value),
                    None => Reason::ALL.iter().any(|reason| reason.as_str() == value),
                };
                assert!(is_known, "{label} is never {value}: {query}");
            }
        }
    }
    assert!(!metrics.is_empty(), "{query}");
    for list in query.split("by (").chain(query.split("on (")).skip(1).filter_map(|rest| rest.split_once(')')) {
        for label in list.0.split(", ").filter(|_| !list.0.contains('(')) {
            assert!(labels.contains(label), "no metric here has the label {label}: {query}");
        }
    }
    metrics
}

/// The metric of a series. The parts of a histogram belong to the histogram.
fn known<'m>(measured: &'m BTreeMap<String, Metric>, series: &str) -> Option<(&'m str, &'m Metric)> {
    let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|part| series.strip_suffix(part));
    let (name, metric) = measured.get_key_value(series).or_else(|| measured.get_key_value(of_histogram?))?;
    let is_histogram = metric.kind == "histogram";
    (is_histogram == (name != series)).then_some((name, metric))
}

/// A label, and the values that a query uses for it.
type Matcher = (String, Vec<String>);

/// Each series that a query selects: its name and its label matchers.
fn selectors(query: &str) -> Vec<(String, Vec<Matcher>)> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut selectors = Vec::new();
    for (start, _) in query.match_indices("cognigy_operator_").chain(query.match_indices("process_")) {
        let is_inside_a_name = query[..start].ends_with(is_name);
        if is_inside_a_name {
            continue;
        }
        let rest = &query[start..];
        let (name, rest) = rest.split_at(rest.find(|letter| !is_name(letter)).unwrap_or(rest.len()));
        let matchers = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inside, _)| inside);
        let matchers = matchers.split(',').map(str::trim).filter(|matcher| !matcher.is_empty());
        let matchers = matchers.map(|matcher| {
            let (label, value) = matcher.split_once(['=', '!']).unwrap();
            let value = value.trim_start_matches(['=', '~']).trim_matches('"');
            (label.to_owned(), value.split('|').map(str::to_owned).collect())
        });
        selectors.push((name.to_owned(), matchers.collect()));
    }
    selectors
}
