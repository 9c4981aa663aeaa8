//! The API server refuses invalid input with a message that names the correction.

use crate::support::*;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde::Deserialize;

#[derive(Deserialize)]
struct Refused {
    case: String,
    patch: Value,
    says: String,
}

/// The unit tests of the CEL rules use the same table.
const TABLE: &str = include_str!("../../crates/api/src/tests/refused.yaml");

#[tokio::test]
async fn each_invalid_input_is_refused_with_a_message_that_names_the_correction() {
    let namespace = plan().await.without_operator().without_secret().start().await;
    let kind = GroupVersionKind::gvk("deploy.cognigy.ai", "v1alpha1", "CognigyDeployment");
    let resource = ApiResource::from_gvk_with_plural(&kind, "cognigydeployments");
    let api: Api<DynamicObject> = Api::namespaced_with(namespace.client.clone(), &namespace.name, &resource);
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    // The patches of the table assume an interval and a time-out that can be made both larger and smaller.
    let whole = sample().webhook("https://ci.example.com/hooks/cognigy").with(json!({
        "rollbackPolicy": {"healthThreshold": 3, "timeoutSeconds": 300}, "monitoring": {"intervalSeconds": 15}
    }));
    let create = async |sample: &Sample| api.create(&dry_run, &serde_json::from_value(sample.object()).unwrap()).await;
    create(&whole).await.expect("the sample is accepted");

    let table: Vec<Refused> = serde_saphyr::from_str(TABLE).unwrap();
    assert!(table.len() > 30, "the table was read");
    for Refused { case, patch, says } in table {
        let refusal = create(&whole.clone().with(patch)).await.expect_err(&case).to_string();
        // An empty environment is also too short for the schema, which the API server checks first.
        let says = if case == "an empty environment" { "environmentId" } else { &says };
        assert!(refusal.contains(says), "{case}: {refusal}");
    }
}

#[tokio::test]
async fn the_environment_of_a_resource_is_immutable() {
    let namespace = plan().await.without_operator().without_secret().start().await;
    let bot = namespace.apply(sample()).await;
    let patch = json!({"spec": {"environmentId": "env_other"}});
    let refusal = bot.try_patch(patch).await.unwrap_err().to_string();
    assert!(refusal.contains("environmentId is immutable: create another CognigyDeployment"), "{refusal}");
}
