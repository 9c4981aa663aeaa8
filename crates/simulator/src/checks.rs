//! The checks that the platform makes before a deployment: validation (section 1), the synthetic trace (section 2), and
//! the dependency locks of a submit (section 3).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::script::{Capacity, EnvironmentScript};

/// The used share of an environment's capacity at which a validation starts to warn.
const NEARLY_FULL: f64 = 0.8;

/// The package to whose version a snapshot's `nlpEngine` refers.
const NLP_PACKAGE: &str = "cognigy-nlp-core";

/// Answers a validation. `resourceQuotaCheck: false` turns the capacity's errors into warnings.
pub(super) fn validate(script: &EnvironmentScript, body: &Value) -> Value {
    let isolation = &body["isolationRules"];
    let quota_checked = isolation["resourceQuotaCheck"] != json!(false);
    let (utilization, exceeded) = capacity_use(script.capacity, &body["capacityConstraints"]);
    let mut errors = script.validation_errors.clone();
    let mut warnings = script.validation_warnings.clone();
    if quota_checked {
        errors.extend(exceeded);
    } else {
        warnings.extend(exceeded);
    }
    errors.extend(isolation_errors(script, isolation));
    if !errors.is_empty() {
        return json!({"valid": false, "validationErrors": errors});
    }
    if (NEARLY_FULL..=1.0).contains(&utilization) {
        warnings.push(json!(format!("capacity: {:.0} % of the environment is used", utilization * 100.0)));
    }
    json!({"valid": true, "warnings": warnings, "capacityUtilization": utilization})
}

/// The largest requested share of any capacity, to two digits, and the errors for capacities that are exceeded.
fn capacity_use(capacity: Capacity, requested: &Value) -> (f64, Vec<Value>) {
    let limits = [
        ("session limit", "max_concurrent_sessions", capacity.max_concurrent_sessions.get()),
        ("memory", "memory_limit_mb", capacity.memory_limit_mb.get()),
    ];
    let mut utilization: f64 = 0.0;
    let mut exceeded = Vec::new();
    for (constraint, field, limit) in limits {
        let amount = requested[field].as_f64().unwrap_or_default();
        utilization = utilization.max(amount / f64::from(limit));
        if amount > f64::from(limit) {
            exceeded.push(json!({
                "constraint": constraint,
                "message": format!("{constraint}: {field} {amount} is over the environment's {limit}"),
            }));
        }
    }
    ((utilization * 100.0).round() / 100.0, exceeded)
}

fn isolation_errors(script: &EnvironmentScript, isolation: &Value) -> Vec<Value> {
    let rules =
        [("tenantBoundary", &script.isolation.tenant_boundary), ("networkSegment", &script.isolation.network_segment)];
    let mut errors = Vec::new();
    for (field, wanted) in rules {
        if let Some(wanted) = wanted
            && isolation[field] != json!(wanted)
        {
            errors.push(json!(format!("tenant isolation: {field} has to be {wanted}")));
        }
    }
    errors
}

/// Answers a trace. Two rules find conflicts:
///
/// - a version mismatch, if the snapshot's `nlpEngine` and the environment's own `cognigy-nlp-core` differ in major or
///   minor version (with `detectVersionConflicts`);
/// - a circular dependency, if the snapshot's `dependencies` (`{"a": ["b"], "b": ["a"]}`) lead back to their start
///   within `simulationDepth` steps.
pub(super) fn trace(script: &EnvironmentScript, body: &Value, trace_id: &str) -> Value {
    let snapshot = &body["configurationSnapshot"];
    let options = &body["traceOptions"];
    let depth = options["simulationDepth"].as_u64().and_then(|depth| usize::try_from(depth).ok()).unwrap_or(usize::MAX);
    let mut conflicts = script.trace_conflicts.clone();
    if options["detectVersionConflicts"] == json!(true)
        && let Some(provided) = script.runtime.get(NLP_PACKAGE)
    {
        conflicts.extend(nlp_conflict(snapshot, provided));
    }
    conflicts.extend(circular_dependency(snapshot, depth));
    let path = if options["includeDependencyGraph"] == json!(true) { execution_path(snapshot, depth) } else { vec![] };
    let honest_status = if conflicts.is_empty() { "passed" } else { "failed" };
    let status = script.trace_status.as_deref().unwrap_or(honest_status);
    json!({"traceId": trace_id, "status": status, "dependencyConflicts": conflicts, "executionPath": path})
}

/// The conflict between a submit's pinned locks and its snapshot, if there is one.
pub(super) fn lock_conflict(body: &Value) -> Option<Value> {
    let locks = body["dependency_locks"].as_array()?;
    let pinned = locks.iter().find(|lock| lock["package_name"] == NLP_PACKAGE && lock["pinned"] == json!(true))?;
    nlp_conflict(&body["configuration_snapshot"], pinned["version"].as_str()?)
}

/// A snapshot without an engine, or with an engine without a version, never conflicts.
fn nlp_conflict(snapshot: &Value, package_version: &str) -> Option<Value> {
    let engine = snapshot["nlpEngine"].as_str()?;
    let differs = major_minor(engine)? != major_minor(package_version)?;
    differs.then(|| {
        json!({
            "type": "version_mismatch",
            "package": NLP_PACKAGE,
            "message": format!("version mismatch: the snapshot's nlpEngine is {engine}, {NLP_PACKAGE} is {package_version}"),
        })
    })
}

/// `v3.2` and `3.2.0` are both (3, 2).
fn major_minor(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version.strip_prefix('v').unwrap_or(version).split(['.', '-', '+']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn circular_dependency(snapshot: &Value, depth: usize) -> Option<Value> {
    let graph = snapshot["dependencies"].as_object()?;
    let cycle = graph.keys().find(|start| leads_back(graph, start, depth))?;
    Some(json!({
        "type": "circular_dependency",
        "package": cycle,
        "message": format!("circular dependency: {cycle} depends on itself"),
    }))
}

/// Whether a path of at most `depth` steps leads from `start` back to `start`.
fn leads_back(graph: &Map<String, Value>, start: &str, depth: usize) -> bool {
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let mut frontier = BTreeSet::from([start]);
    for _ in 0..depth {
        let next: BTreeSet<&str> = frontier
            .iter()
            .filter_map(|name| graph.get(*name)?.as_array())
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if next.contains(start) {
            return true;
        }
        frontier = next.difference(&reached).copied().collect();
        if frontier.is_empty() {
            return false;
        }
        reached.extend(&frontier);
    }
    false
}

fn execution_path(snapshot: &Value, depth: usize) -> Vec<Value> {
    let flow = snapshot["dialogFlow"].as_str().map(|flow| format!("dialogFlow:{flow}"));
    let engine = snapshot["nlpEngine"].as_str().map(|engine| format!("nlpEngine:{engine}"));
    let integrations = snapshot["integrations"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let integrations = integrations.map(|name| format!("integration:{name}"));
    flow.into_iter().chain(engine).chain(integrations).take(depth).map(Value::String).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn script(yaml: &str) -> EnvironmentScript {
        EnvironmentScript::parse(yaml, &"env_a".parse().unwrap()).unwrap()
    }

    fn validation(sessions: u64, memory: u64, quota: bool) -> Value {
        json!({
            "capacityConstraints": {"max_concurrent_sessions": sessions, "memory_limit_mb": memory},
            "isolationRules": {"tenantBoundary": "strict", "networkSegment": "eu", "resourceQuotaCheck": quota},
        })
    }

    #[test]
    fn the_contracts_sample_uses_0_42_of_the_default_capacity() {
        let answer = validate(&script("{}"), &validation(500, 4096, true));
        assert_eq!(answer, json!({"valid": true, "warnings": [], "capacityUtilization": 0.42}));
    }

    #[test]
    fn a_request_over_the_capacity_is_invalid_and_names_the_constraint() {
        let answer =
            validate(&script("capacity: {maxConcurrentSessions: 10, memoryLimitMb: 10}"), &validation(11, 11, true));
        assert_eq!(answer["valid"], false);
        let errors = answer["validationErrors"].to_string();
        assert!(errors.contains("session limit: ") && errors.contains("memory: "), "{errors}");
    }

    #[test]
    fn without_the_quota_check_a_request_over_the_capacity_causes_a_warning() {
        let answer = validate(&script("capacity: {maxConcurrentSessions: 10}"), &validation(11, 11, false));
        assert_eq!(answer["valid"], true);
        assert_eq!(answer["warnings"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_nearly_full_environment_warns() {
        let answer = validate(&script("capacity: {maxConcurrentSessions: 10}"), &validation(9, 1, true));
        assert_eq!(answer["warnings"], json!(["capacity: 90 % of the environment is used"]));
    }

    #[test]
    fn isolation_that_the_environment_does_not_allow_is_invalid() {
        let answer =
            validate(&script("isolation: {tenantBoundary: strict, networkSegment: us}"), &validation(1, 1, true));
        assert_eq!(answer["validationErrors"], json!(["tenant isolation: networkSegment has to be us"]));
    }

    fn trace_of(snapshot: &Value, depth: u64, yaml: &str) -> Value {
        let options = json!({"simulationDepth": depth, "includeDependencyGraph": true, "detectVersionConflicts": true});
        trace(&script(yaml), &json!({"configurationSnapshot": snapshot, "traceOptions": options}), "tr_1")
    }

    #[test]
    fn the_trace_follows_the_snapshot_to_the_requested_depth() {
        let snapshot = json!({"nlpEngine": "v3.2", "dialogFlow": "production_v8", "integrations": ["sap_erp"]});
        let answer = trace_of(&snapshot, 2, "{}");
        assert_eq!(answer["status"], "passed");
        assert_eq!(answer["executionPath"], json!(["dialogFlow:production_v8", "nlpEngine:v3.2"]));
    }

    #[test]
    fn an_engine_that_the_environment_does_not_provide_is_a_version_mismatch() {
        let cases = [("v3.2", "passed"), ("3.2.9", "passed"), ("v4.0", "failed"), ("newest", "passed")];
        for (engine, status) in cases {
            let answer = trace_of(&json!({"nlpEngine": engine}), 5, "runtime: {cognigy-nlp-core: 3.2.0}");
            assert_eq!(answer["status"], status, "{engine}");
        }
    }

    #[test]
    fn a_circle_is_found_within_the_simulated_depth() {
        let snapshot = json!({"dependencies": {"a": ["b"], "b": ["c"], "c": ["a", "d"]}});
        assert_eq!(trace_of(&snapshot, 3, "{}")["dependencyConflicts"][0]["type"], "circular_dependency");
        assert_eq!(trace_of(&snapshot, 2, "{}")["status"], "passed");
        let straight = json!({"dependencies": {"a": ["b", "c"], "b": ["c"]}});
        assert_eq!(trace_of(&straight, 100, "{}")["status"], "passed");
    }

    #[test]
    fn scripted_conflicts_and_status_are_in_the_answer() {
        assert_eq!(trace_of(&json!({}), 1, "traceConflicts: [odd]")["dependencyConflicts"], json!(["odd"]));
        assert_eq!(trace_of(&json!({}), 1, "traceStatus: inconclusive")["status"], "inconclusive");
    }

    #[test]
    fn only_a_pinned_lock_conflicts_with_the_snapshot() {
        let conflict = |version: &str, pinned: bool| {
            let lock = json!({"package_name": "cognigy-nlp-core", "version": version, "pinned": pinned});
            lock_conflict(&json!({"configuration_snapshot": {"nlpEngine": "v3.2"}, "dependency_locks": [lock]}))
                .is_some()
        };
        assert!(!conflict("3.2.0", true));
        assert!(conflict("3.3.0", true));
        assert!(!conflict("3.3.0", false));
    }
}
