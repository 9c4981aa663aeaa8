//! A changed digest would deploy every configuration again, so these tests fix the values.

use super::sample_with;
use crate::{Digest, Snapshot};
use serde_json::{Value, json};

fn digest_of(patch: &Value) -> Digest {
    let spec = sample_with(patch).spec;
    Digest::of_deployment(&spec, &spec.configuration_snapshot.clone().unwrap()).unwrap()
}

fn release_of(patch: &Value) -> Digest {
    let spec = sample_with(patch).spec;
    Digest::of_release(&spec, &spec.configuration_snapshot.clone().unwrap()).unwrap()
}

fn checks_of(patch: &Value) -> Digest {
    Digest::of_checks(&sample_with(patch).spec)
}

/// The expected value was computed from a canonical form that was written by hand, with another program.
#[test]
fn the_digest_of_the_sample_never_changes() {
    let golden = "v1:9ea28e15760453db504136b691d1bd92ac15962bb919c527b620ebf5e12de84c";
    assert_eq!(digest_of(&json!({})).as_str(), golden);
}

#[test]
fn the_checks_digest_of_the_sample_never_changes() {
    let golden = "v1:eaed10b1317dc88db121fb707b53a25ee71743a358ac20e8049abb70b29fb5db";
    assert_eq!(checks_of(&json!({})).as_str(), golden);
}

#[test]
fn the_checks_digest_without_a_segment_never_changes() {
    let golden = "v1:8a909c6c4b42f6df6e9db20d8b652ee76632a6b743f039a21a708711698e3b60";
    assert_eq!(checks_of(&json!({"isolationRules": null, "traceOptions": null})).as_str(), golden);
}

/// The expected value was computed from a canonical form that was written by hand, with another program.
#[test]
fn the_release_digest_of_the_sample_never_changes() {
    let golden = "v1:b561524aae8664574f44c2240cf97c66aeb351ff552f63a0ca6a919d6ed9626c";
    assert_eq!(release_of(&json!({})).as_str(), golden);
}

#[test]
fn the_release_has_the_same_digest_in_every_environment_and_with_every_capacity() {
    for change in [
        json!({"environmentId": "env_staging_us_01"}),
        json!({"capacityConstraints": {"maxConcurrentSessions": 501, "memoryLimitMb": 8192}}),
        json!({"isolationRules": {"tenantBoundary": "shared"}, "traceOptions": {"simulationDepth": 6}}),
        json!({"requires": [{"name": "bot-staging"}], "approval": {"required": 2}, "displayVersion": "Summer release"}),
        json!({"dependencyLocks": [{"packageName": "dialog-runtime", "version": "2.1.4"},
            {"packageName": "cognigy-nlp-core", "version": "3.2.0", "pinned": true}]}),
    ] {
        assert_eq!(release_of(&change), release_of(&json!({})), "{change}");
    }
}

#[test]
fn each_part_of_the_snapshot_and_of_the_locks_changes_the_release() {
    let changes = [
        json!({"configurationSnapshot": {"botVersion": "2.4.2"}}),
        json!({"configurationSnapshot": {"integrations": ["sap_erp", "salesforce_crm"]}}),
        json!({"configurationSnapshot": {"extra": null, "more": {}}}),
        json!({"dependencyLocks": null}),
        json!({"dependencyLocks": [{"packageName": "cognigy-nlp-core", "version": "3.2.0"}]}),
        json!({"dependencyLocks": [{"packageName": "cognigy-nlp-core", "version": "3.2.1"},
            {"packageName": "dialog-runtime", "version": "2.1.4"}]}),
        json!({"dependencyLocks": [{"packageName": "cognigy-nlp-core", "version": "3.2.0", "pinned": false},
            {"packageName": "dialog-runtime", "version": "2.1.4"}]}),
    ];
    let mut digests: std::collections::BTreeSet<_> = changes.iter().map(release_of).collect();
    digests.insert(release_of(&json!({})));
    assert_eq!(digests.len(), changes.len() + 1);
}

#[test]
fn the_release_never_has_the_digest_of_a_deployment() {
    assert_ne!(release_of(&json!({})), digest_of(&json!({})));
}

#[test]
fn the_order_of_locks_and_of_keys_does_not_change_the_digest() {
    let turned = json!({"dependencyLocks": [
        {"packageName": "dialog-runtime", "version": "2.1.4"}, {"packageName": "cognigy-nlp-core", "version": "3.2.0"}
    ]});
    assert_eq!(digest_of(&turned), digest_of(&json!({})));
    let snapshot = |text: &str| serde_json::from_str::<Snapshot>(text).unwrap();
    let spec = sample_with(&json!({})).spec;
    assert_eq!(
        Digest::of_deployment(&spec, &snapshot(r#"{"a": {"x": 1, "y": 2}, "b": 3}"#)).unwrap(),
        Digest::of_deployment(&spec, &snapshot(r#"{"b": 3, "a": {"y": 2, "x": 1}}"#)).unwrap(),
    );
}

#[test]
fn an_explicit_default_does_not_change_the_digest() {
    assert_eq!(digest_of(&json!({"capacityConstraints": null})), digest_of(&json!({})));
    assert_eq!(checks_of(&json!({"traceOptions": null})), checks_of(&json!({})));
    let unsaid = json!({"dependencyLocks": [{"packageName": "core", "version": "3.2.0"}]});
    let said = json!({"dependencyLocks": [{"packageName": "core", "version": "3.2.0", "pinned": true}]});
    assert_eq!(digest_of(&unsaid), digest_of(&said));
}

#[test]
fn one_and_one_point_zero_are_the_same_number() {
    let of = |number: Value| digest_of(&json!({"configurationSnapshot": {"replicas": number}}));
    assert_eq!(of(json!(1)), of(json!(1.0)));
    assert_eq!(of(json!(-0.0)), of(json!(0)));
    assert_ne!(of(json!(1)), of(json!("1")));
    assert_ne!(of(json!(1)), of(json!(true)));
}

#[test]
fn different_large_integers_have_different_digests() {
    let numbers: [i64; 8] = [
        9_007_199_254_740_991,
        9_007_199_254_740_992,
        9_007_199_254_740_993,
        -9_007_199_254_740_993,
        -9_007_199_254_740_992,
        i64::MAX - 1,
        i64::MAX,
        i64::MIN,
    ];
    let digests: std::collections::BTreeSet<_> = numbers
        .into_iter()
        .map(|number| digest_of(&json!({"configurationSnapshot": {"deep": [{"limit": number}]}})))
        .collect();
    assert_eq!(digests.len(), numbers.len());
}

#[test]
fn every_deployed_field_changes_the_digest() {
    let changes = [
        json!({"environmentId": "env_prod_us_02"}),
        json!({"configurationSnapshot": {"botVersion": "2.4.2"}}),
        json!({"configurationSnapshot": {"integrations": ["sap_erp", "salesforce_crm"]}}),
        json!({"configurationSnapshot": {"extra": null, "more": {}}}),
        json!({"dependencyLocks": null}),
        json!({"dependencyLocks": [{"packageName": "cognigy-nlp-core", "version": "3.2.0"}]}),
        json!({"dependencyLocks": [{"packageName": "cognigy-nlp-core", "version": "3.2.1"},
            {"packageName": "dialog-runtime", "version": "2.1.4"}]}),
        json!({"dependencyLocks": [{"packageName": "cognigy-nlp-core", "version": "3.2.0", "pinned": false},
            {"packageName": "dialog-runtime", "version": "2.1.4"}]}),
        json!({"capacityConstraints": {"maxConcurrentSessions": 501}}),
        json!({"capacityConstraints": {"memoryLimitMb": 4097}}),
    ];
    let mut digests: std::collections::BTreeSet<_> = changes.iter().map(digest_of).collect();
    digests.insert(digest_of(&json!({})));
    assert_eq!(digests.len(), changes.len() + 1);
}

#[test]
fn settings_of_the_rollout_and_of_monitoring_do_not_change_the_digest() {
    let changes = [
        json!({"webhook": null}),
        json!({"monitoring": {"intervalSeconds": 5, "maxErrorRate": 0.5, "successThreshold": 2}}),
        json!({"rollbackPolicy": {"autoTrigger": false, "healthThreshold": 1, "timeoutSeconds": 60,
            "revertSnapshotId": "snap_other"}}),
        json!({"compliance": null, "credentialsRef": {"name": "other"}, "suspend": true, "historyLimit": 0,
            "deletionPolicy": "Rollback"}),
    ];
    for change in changes {
        assert_eq!(digest_of(&change), digest_of(&json!({})), "{change}");
        assert_eq!(checks_of(&change), checks_of(&json!({})), "{change}");
    }
}

#[test]
fn checks_have_a_digest_of_their_own() {
    let changes = [
        json!({"isolationRules": {"tenantBoundary": "shared"}}),
        json!({"isolationRules": {"networkSegment": "production-eu"}}),
        json!({"isolationRules": {"networkSegment": null}}),
        json!({"isolationRules": {"resourceQuotaCheck": false}}),
        json!({"traceOptions": {"simulationDepth": 6}}),
        json!({"traceOptions": {"includeDependencyGraph": false}}),
        json!({"traceOptions": {"detectVersionConflicts": false}}),
    ];
    let digests: std::collections::BTreeSet<_> = changes.iter().map(checks_of).collect();
    assert_eq!(digests.len(), changes.len());
    for change in changes {
        assert_ne!(checks_of(&change), checks_of(&json!({})), "{change}");
        assert_eq!(digest_of(&change), digest_of(&json!({})), "{change}");
    }
}

#[test]
fn the_short_form_is_the_beginning_of_the_whole() {
    let digest = digest_of(&json!({}));
    assert_eq!(digest.short().len(), 15);
    assert!(digest.as_str().starts_with(digest.short()));
}
