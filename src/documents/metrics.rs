//! `docs/metrics.md`: every metric with its type, its labels and their values.

use super::read;
use crate::controller::resources::ResourceRegistry;
use crate::controller::watched::Watched;
use crate::metrics::Metrics;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const PAGE: &str = "docs/metrics.md";

/// A metric, in the page or in the text of a scrape.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Metric {
    pub(super) kind: String,
    /// The values of each label; `None` if the page refers to another page for them.
    pub(super) labels: BTreeMap<String, Option<BTreeSet<String>>>,
}

#[test]
fn every_metric_is_listed_with_its_type_and_labels_and_none_that_does_not_exist() {
    let (listed, mut scraped) = (listed(), scraped());
    for (name, metric) in &mut scraped {
        for (label, values) in &mut metric.labels {
            let is_listed_elsewhere = listed.get(name).is_some_and(|listed| listed.labels.get(label) == Some(&None));
            if is_listed_elsewhere {
                *values = None;
            }
        }
    }
    assert_eq!(listed, scraped, "left: the metrics in {PAGE}; right: those of a scrape");
}

/// The rows of the page's tables: name, type, labels, meaning.
pub(super) fn listed() -> BTreeMap<String, Metric> {
    let page = read(PAGE);
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert!(!cells[4].is_empty(), "a meaning is missing: {row}");
        let labels = cells[3].split(';').filter(|label| !label.is_empty()).map(label).collect();
        (cells[1].replace('`', ""), Metric { kind: cells[2].to_owned(), labels })
    })
    .collect()
}

/// `` `call`: token, validate ``, or `` `reason`: see [there](...) ``.
fn label(text: &str) -> (String, Option<BTreeSet<String>>) {
    let (name, values) = text.split_once(':').unwrap_or((text, "see"));
    let values = (!values.trim().starts_with("see")).then(|| values.split(',').map(|v| v.trim().to_owned()).collect());
    (name.trim().replace('`', ""), values)
}

/// The metrics in a scrape, by the names that queries use. A histogram has the common part of its series' names.
fn scraped() -> BTreeMap<String, Metric> {
    let resources = Arc::new(ResourceRegistry::new(true));
    for (number, status) in [
        json!(null),
        with_condition("Stalled", "True", "RolledBack"),
        with_condition("Ready", "True", "Succeeded"),
        with_condition("Ready", "False", "Suspended"),
        json!({"phase": "FromTheFuture"}),
    ]
    .iter()
    .enumerate()
    {
        resources.observe(&Event::Apply(resource(number, status)));
    }
    let metrics = Metrics::new(Arc::default(), &cognigy_deployments::operations::ALL, resources);
    let text = metrics.encode().unwrap();
    let mut scraped: BTreeMap<String, Metric> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            let name = match kind {
                "counter" => format!("{name}_total"),
                "info" => format!("{name}_info"),
                _ => name.to_owned(),
            };
            scraped.insert(name, Metric { kind: kind.to_owned(), ..Metric::default() });
        }
        if line.starts_with('#') {
            continue;
        }
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let name = of_histogram.filter(|name| scraped.contains_key(*name)).unwrap_or(name);
        let metric = scraped.get_mut(name).unwrap_or_else(|| panic!("{name} has no type"));
        for label in labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once('=').unwrap();
            if label != "le" {
                let values = metric.labels.entry(label.to_owned()).or_insert_with(|| Some(BTreeSet::new()));
                values.as_mut().unwrap().insert(value.trim_matches('"').to_owned());
            }
        }
    }
    scraped
}

fn with_condition(kind: &str, status: &str, reason: &str) -> Value {
    let since = "2026-01-01T12:00:00Z";
    json!({"conditions": [{"type": kind, "status": status, "reason": reason, "lastTransitionTime": since}]})
}

fn resource(number: usize, status: &Value) -> Watched {
    serde_json::from_value(json!({
        "apiVersion": "deploy.cognigy.ai/v1alpha1",
        "kind": "CognigyDeployment",
        "metadata": {"name": format!("bot-{number}"), "namespace": "bots", "uid": format!("uid-{number}")},
        "spec": {"environmentId": "env_1", "configurationSnapshot": {"botVersion": "1"}, "dependencyLocks": []},
        "status": status,
    }))
    .unwrap()
}
