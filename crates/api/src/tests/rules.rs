//! The CEL rules that the API server enforces, run offline.

use super::{sample, sample_with};
use crate::CognigyDeployment;
use crate::spec::{ObjectName, is_key};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Refused {
    case: String,
    patch: Value,
    says: String,
}

#[test]
fn each_wrong_input_is_refused_with_what_to_write_instead() {
    let table: Vec<Refused> = serde_saphyr::from_str(include_str!("refused.yaml")).unwrap();
    assert!(table.len() > 30, "the table was read");
    for Refused { case, patch, says } in table {
        let refusal = sample_with(&patch).validate_cel().expect_err(&case).to_string();
        assert!(refusal.contains(&says), "{case}: {refusal}");
    }
}

#[test]
fn the_sample_of_the_design_is_accepted() {
    let object: CognigyDeployment = serde_json::from_value(sample()).unwrap();
    object.validate_cel().unwrap();
    object.validate_cel_update(&object).unwrap();
}

#[test]
fn each_bound_itself_is_accepted() {
    let accepted = [
        json!({"rollbackPolicy": {"healthThreshold": 1, "timeoutSeconds": 15}}),
        json!({"rollbackPolicy": {"healthThreshold": 20}}),
        json!({"rollbackPolicy": {"healthThreshold": 100, "timeoutSeconds": 86400}}),
        json!({"rollbackPolicy": {"healthThreshold": 1, "timeoutSeconds": 1}, "monitoring": {"intervalSeconds": 1}}),
        json!({"rollbackPolicy": {"timeoutSeconds": 10800}, "monitoring": {"intervalSeconds": 3600}}),
        json!({"monitoring": {"maxErrorRate": 1, "successThreshold": 100}}),
        json!({"monitoring": {"afterSuccess": {}}}),
        json!({"monitoring": {"afterSuccess": {"intervalSeconds": 60, "healthThreshold": 1, "onUnhealthy": "Report"}}}),
        json!({"monitoring": {"afterSuccess": {"intervalSeconds": 86400, "healthThreshold": 100, "onUnhealthy": "Rollback"}}}),
        json!({"capacityConstraints": {"maxConcurrentSessions": 1, "memoryLimitMb": i64::MAX}}),
        json!({"traceOptions": {"simulationDepth": 1}, "historyLimit": 0}),
        json!({"traceOptions": {"simulationDepth": 100}, "historyLimit": 50}),
        json!({"approval": {"required": 1, "expiresAfterSeconds": 300}}),
        json!({"approval": {"required": 5, "expiresAfterSeconds": 2_592_000, "notBy": ["a".repeat(253)]}}),
        json!({"approval": {"notBy": (0..10).map(|number| format!("user-{number}")).collect::<Vec<_>>()}}),
        json!({"requires": [{"name": "a", "healthyForSeconds": 0}]}),
        json!({"requires": [{"name": "a".repeat(253), "namespace": "n".repeat(63), "healthyForSeconds": 2_592_000}]}),
        json!({"requires": (0..32).map(|number| json!({"name": format!("wave-{number}")})).collect::<Vec<_>>()}),
        json!({"requires": [{"name": "bot", "namespace": "test"}, {"name": "bot", "namespace": "staging"}, {"name": "bot"}]}),
        json!({"allowedDownstreamNamespaces": (0..64).map(|number| format!("team-{number}")).collect::<Vec<_>>()}),
        json!({"allowedDownstreamNamespaces": ["a", "n".repeat(63)]}),
    ];
    for patch in accepted {
        assert!(sample_with(&patch).validate_cel().is_ok(), "{patch}: {:?}", sample_with(&patch).validate_cel());
    }
}

#[test]
fn exact_versions_and_unpinned_ranges_are_accepted() {
    for version in ["3.2", "3.2.0", "v3.2.0", "3.2.0.1", "3.2.0-rc.1", "3.2.0+build.7"] {
        let patch = json!({"dependencyLocks": [{"packageName": "core", "version": version}]});
        assert!(sample_with(&patch).validate_cel().is_ok(), "{version}");
    }
    for version in ["^3.2", "3.x", ">=3", "latest"] {
        let patch = json!({"dependencyLocks": [{"packageName": "core", "version": version, "pinned": false}]});
        assert!(sample_with(&patch).validate_cel().is_ok(), "{version}");
    }
}

#[test]
fn other_forms_of_the_sample_are_accepted() {
    let accepted = [
        json!({"environmentId": "a"}),
        json!({"environmentId": "A-b_c.d~e"}),
        json!({"environmentId": "..."}),
        json!({"displayVersion": "2"}),
        json!({"displayVersion": "Summer release, Köln"}),
        json!({"displayVersion": "x".repeat(64)}),
        json!({"webhook": {"url": "http://ci.example.com:8080?hook=1"}}),
        json!({"webhook": {"url": "https://ci.example.com/hooks/me@example.com"}}),
        json!({"webhook": {"url": null, "urlFrom": {"secretKeyRef": {"name": "ci", "key": "url"}}}}),
        json!({"webhook": null}),
        json!({"configurationSnapshot": null, "configurationSnapshotFrom":
            {"configMapKeyRef": {"name": "bot", "key": "snapshot.json", "sha256": "0".repeat(64)}}}),
        json!({"dependencyLocks": null, "rollbackPolicy": null, "capacityConstraints": null, "isolationRules": null,
            "traceOptions": null, "monitoring": null, "compliance": null, "credentialsRef": null}),
    ];
    for patch in accepted {
        assert!(sample_with(&patch).validate_cel().is_ok(), "{patch}: {:?}", sample_with(&patch).validate_cel());
    }
}

#[test]
fn the_api_server_and_the_operator_accept_the_same_names_and_keys() {
    let longest = "a".repeat(253);
    for (name, is_name) in [
        ("cognigy-api", true),
        ("a", true),
        ("0", true),
        ("a.b-c.9", true),
        ("a--b", true),
        (longest.as_str(), true),
        ("?limit=0", false),
        ("../../kube-system/secrets/x", false),
        ("a b", false),
        ("a/b", false),
        ("a%2Fb", false),
        ("A", false),
        ("a_b", false),
        (".", false),
        ("..", false),
        ("a..b", false),
        ("a.", false),
        (".a", false),
        ("-a", false),
        ("a-", false),
        ("a-.b", false),
        ("a\n", false),
        ("\u{e4}", false),
    ] {
        let patches = [
            json!({"credentialsRef": {"name": name}}),
            json!({"webhook": {"url": null, "urlFrom": {"secretKeyRef": {"name": name, "key": "url"}}}}),
            json!({"configurationSnapshot": null, "configurationSnapshotFrom":
                {"configMapKeyRef": {"name": name, "key": "snapshot"}}}),
        ];
        for patch in patches {
            assert_eq!(sample_with(&patch).validate_cel().is_ok(), is_name, "{patch}");
        }
        assert_eq!(ObjectName::of(name).is_some(), is_name, "{name:?}");
    }
    for (key, is_a_key) in [
        ("url", true),
        ("snapshot.json", true),
        ("_A-9.x", true),
        (".hidden", true),
        (longest.as_str(), true),
        ("hooks/url", false),
        ("a b", false),
        (".", false),
        ("..", false),
        ("..data", false),
        ("a\n", false),
        ("\u{e4}", false),
    ] {
        let patches = [
            json!({"webhook": {"url": null, "urlFrom": {"secretKeyRef": {"name": "ci", "key": key}}}}),
            json!({"configurationSnapshot": null, "configurationSnapshotFrom":
                {"configMapKeyRef": {"name": "bot", "key": key}}}),
        ];
        for patch in patches {
            assert_eq!(sample_with(&patch).validate_cel().is_ok(), is_a_key, "{patch}");
        }
        assert_eq!(is_key(key), is_a_key, "{key:?}");
    }
    // The schema, not a rule, limits the length.
    for text in [String::new(), "a".repeat(254)] {
        assert!(ObjectName::of(&text).is_none() && !is_key(&text));
    }
}

#[test]
fn the_environment_of_a_resource_never_changes() {
    let (old, new) = (sample_with(&json!({})), sample_with(&json!({"environmentId": "env_prod_eu_01"})));
    let refusal = new.validate_cel_update(&old).unwrap_err().to_string();
    assert!(refusal.contains("environmentId is immutable: create another CognigyDeployment"), "{refusal}");
    let edited = sample_with(&json!({"historyLimit": 3, "configurationSnapshot": {"botVersion": "2.5.0"}}));
    edited.validate_cel_update(&old).unwrap();
}

#[test]
fn a_resource_is_unchanged_after_a_round_trip_through_json() {
    let object: CognigyDeployment = serde_json::from_value(sample()).unwrap();
    let written = serde_json::to_value(&object).unwrap();
    assert_eq!(written, sample());
    assert_eq!(serde_json::from_value::<CognigyDeployment>(written).unwrap(), object);
}

#[test]
fn omitted_fields_have_the_defaults_of_the_design() {
    let least = sample_with(&json!({"dependencyLocks": null, "rollbackPolicy": null, "capacityConstraints": null,
        "isolationRules": null, "traceOptions": null, "monitoring": null, "compliance": null, "credentialsRef": null,
        "webhook": null, "suspend": null, "deletionPolicy": null, "historyLimit": null}));
    let expected = json!({
        "environmentId": "env_prod_us_01",
        "configurationSnapshot": sample()["spec"]["configurationSnapshot"],
        "dependencyLocks": [],
        "rollbackPolicy": {"autoTrigger": true, "healthThreshold": 3, "timeoutSeconds": 300},
        "capacityConstraints": {"maxConcurrentSessions": 500, "memoryLimitMb": 4096},
        "isolationRules": {"tenantBoundary": "strict", "resourceQuotaCheck": true},
        "traceOptions": {"simulationDepth": 5, "includeDependencyGraph": true, "detectVersionConflicts": true},
        "monitoring": {"intervalSeconds": 15, "maxErrorRate": 0.05, "successThreshold": 1},
        "compliance": {"governanceApproved": false, "dataResidencyCheck": false},
        "suspend": false, "deletionPolicy": "Retain", "historyLimit": 10
    });
    assert_eq!(serde_json::to_value(&least.spec).unwrap(), expected);
}
