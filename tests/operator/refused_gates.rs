//! The API server refuses wrong decisions and change windows with a message that names the correction.

use crate::support::*;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde::Deserialize;

#[derive(Deserialize)]
struct Refused {
    kind: String,
    case: String,
    patch: Value,
    says: String,
}

/// The unit tests of the CEL rules use the same table.
const TABLE: &str = include_str!("../../crates/api/src/tests/refused_gates.yaml");

#[tokio::test]
async fn each_wrong_decision_and_change_window_is_refused_with_a_message_that_names_the_correction() {
    let namespace = plan().await.without_operator().without_secret().start().await;
    let decision = json!({
        "deployment": "bot", "environmentId": ENVIRONMENT, "planId": "plan-7a2934b468d32a1c", "verb": "Approve", "by": user_of(&namespace.client).await,
        "reason": "tested in staging"
    });
    let window = json!({
        "type": "Deny", "timeZone": "Europe/Berlin", "recurring": {"schedule": "0 18 * * 5", "durationSeconds": 3600}
    });
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let create = async |kind: &str, patch: &Value| {
        let (plural, mut spec) = match kind {
            "CognigyDecision" => ("cognigydecisions", decision.clone()),
            _ => ("changewindows", window.clone()),
        };
        merge(&mut spec, patch.clone());
        let kind = GroupVersionKind::gvk("deploy.cognigy.ai", "v1alpha1", kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        let api: Api<DynamicObject> = Api::namespaced_with(namespace.client.clone(), &namespace.name, &resource);
        let object = json!({
            "apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"generateName": "wrong-"}, "spec": spec
        });
        api.create(&dry_run, &serde_json::from_value(object).unwrap()).await
    };
    for kind in ["CognigyDecision", "ChangeWindow"] {
        create(kind, &json!({})).await.expect("the sample is accepted");
    }
    create("ChangeWindow", &json!({"timeZone": "America/Argentina/Buenos_Aires"}))
        .await
        .expect("a zone of three parts");
    let table: Vec<Refused> = serde_saphyr::from_str(TABLE).unwrap();
    assert!(table.len() > 25, "the table was read");
    for Refused { kind, case, patch, says } in table {
        let refusal = create(&kind, &patch).await.expect_err(&case).to_string();
        assert!(refusal.contains(&says), "{case}: {refusal}");
    }
}
