//! What holds for every object.

use super::plans::{live, object};
use super::{read_text, sample};
use crate::plan::{Event, Kind, Texts, plan};
use api::{Digest, PlanId};
use proptest::prelude::*;
use serde_json::{Value, json};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()).prop_map(|number| json!(number)),
        ".{0,6}".prop_map(Value::from),
        "[a-z<&]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(".{0,3}", inner, 0..5).prop_map(|fields| json!(fields)),
        ]
    })
}

prop_compose! {
    fn deployment()(
        snapshot in prop::collection::btree_map("[a-z]{1,3}", value(), 1..5),
        versions in prop::collection::btree_map("[a-z]{1,4}", 1..9_u8, 0..4),
        sessions in 1..5_i64,
        depth in 1..9_i32,
        interval in 1..9_i32,
    ) -> Value {
        let locks: Vec<_> = versions.iter().map(|(name, version)| json!({"packageName": name, "version": format!("1.{version}")})).collect();
        let mut object = sample();
        object["spec"]["configurationSnapshot"] = json!(snapshot);
        object["spec"]["dependencyLocks"] = json!(locks);
        object["spec"]["capacityConstraints"] = json!({"maxConcurrentSessions": sessions});
        object["spec"]["traceOptions"] = json!({"simulationDepth": depth});
        object["spec"]["monitoring"] = json!({"intervalSeconds": interval});
        object
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_digest_of_a_plan_is_the_operators(desired in deployment()) {
        let desired = object(&desired);
        let plan = plan(None, &desired, &Texts::default(), &[]).unwrap();
        let digest = Digest::of_deployment(&desired.spec, desired.spec.configuration_snapshot.as_ref().unwrap()).unwrap();
        let checks = Digest::of_checks(&desired.spec);
        prop_assert_eq!(plan.plan_id, Some(PlanId::of(&digest, &checks, None)));
        prop_assert_eq!(plan.digest, Some(digest));
        prop_assert_eq!(plan.checks_digest, checks);
    }

    #[test]
    fn a_plan_of_an_object_with_itself_is_empty(desired in deployment()) {
        let desired = object(&desired);
        let mut live = live("Settled", Some("Succeeded"));
        live.spec = desired.spec.clone();
        if let Some(attempt) = live.status.as_mut().and_then(|status| status.attempt.as_mut()) {
            attempt.digest = Digest::of_deployment(&desired.spec, desired.spec.configuration_snapshot.as_ref().unwrap()).unwrap();
            attempt.checks.digest = Digest::of_checks(&desired.spec);
        }
        let plan = plan(Some(&live), &desired, &Texts::default(), &[]).unwrap();
        prop_assert_eq!((plan.kind, plan.next.event, plan.changes.len()), (Kind::Nothing, Event::Nothing, 0));
        prop_assert!(!plan.has_changes());
    }

    #[test]
    fn a_plan_lists_a_change_exactly_if_a_digest_or_a_setting_differs(before in deployment(), after in deployment()) {
        let (before, after) = (object(&before), object(&after));
        let plan_of = || plan(Some(&before), &after, &Texts::default(), &[]).unwrap();
        let plan = plan_of();
        prop_assert_eq!(&plan, &plan_of(), "a plan is deterministic");
        let digest = |object: &api::CognigyDeployment| Digest::of_deployment(&object.spec, object.spec.configuration_snapshot.as_ref().unwrap()).unwrap();
        prop_assert_eq!(!plan.parts.is_empty(), digest(&before) != digest(&after));
        prop_assert_eq!(plan.kind == Kind::Nothing, plan.changes.is_empty());
    }

    #[test]
    fn a_manifest_in_yaml_and_in_json_has_the_digest_that_the_api_server_would_hand_out(desired in deployment()) {
        let read = |text: String| {
            let manifests = read_text(&text);
            prop_assert_eq!(&manifests.problems, &[]);
            let read = manifests.deployments[0].deployment().unwrap();
            Ok(Digest::of_deployment(&read.spec, read.spec.configuration_snapshot.as_ref().unwrap()).unwrap())
        };
        let json = read(desired.to_string())?;
        prop_assert_eq!(&json, &read(serde_json::to_string_pretty(&desired).unwrap())?);
        // What is read and written once more stays the same: kubectl does so before it sends.
        prop_assert_eq!(&json, &read(read_text(&desired.to_string()).deployments[0].json())?);
    }
}
