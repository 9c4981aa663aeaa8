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

/// What the schema refuses, and what the API server makes of nulls: the offline rules must say the same.
const OTHERS: [(&str, bool); 22] = [
    (r#"{"rollbackPolicy": {"timeoutSeconds": "300"}}"#, false),
    (r#"{"monitoring": {"intervalSeconds": 1.5}}"#, false),
    (r#"{"monitoring": {"intervalSeconds": 3000000000}}"#, false),
    (r#"{"monitoring": {"intervalSeconds": 15.0}}"#, true),
    (r#"{"monitoring": {"maxErrorRate": 1}}"#, true),
    (r#"{"dependencyLocks": [{"packageName": "core", "version": 3.2}]}"#, false),
    (r#"{"dependencyLocks": [{"version": "3.2.0"}]}"#, false),
    (r#"{"dependencyLocks": [{"packageName": "", "version": "3.2.0"}]}"#, false),
    (r#"{"dependencyLocks": {"core": "3.2.0"}}"#, false),
    (r#"{"deletionPolicy": "Keep"}"#, false),
    (r#"{"configurationSnapshot": "text"}"#, false),
    (r#"{"suspend": "yes"}"#, false),
    (r#"{"rollbackpolicy": {}}"#, false),
    (r#"{"suspend": null, "historyLimit": null, "dependencyLocks": null, "rollbackPolicy": null}"#, true),
    (r#"{"webhook": null, "credentialsRef": null}"#, true),
    (r#"{"configurationSnapshotFrom": null}"#, true),
    (r#"{"environmentId": null}"#, false),
    (r#"{"configurationSnapshot": {}}"#, false),
    (r#"{"rollbackPolicy": {"timeoutSeconds": null, "healthThreshold": 21}}"#, false),
    (r#"{"isolationRules": {"networkSegment": ""}}"#, false),
    (r#"{"isolationRules": {"networkSegment": null}}"#, true),
    (r#"{"webhook": {"url": null, "urlFrom": null}}"#, false),
];

#[tokio::test]
async fn the_api_server_refuses_what_is_refused_offline_at_the_same_path() {
    let namespace = plan().await.without_operator().without_secret().start().await;
    let kind = GroupVersionKind::gvk("deploy.cognigy.ai", "v1alpha1", "CognigyDeployment");
    let resource = ApiResource::from_gvk_with_plural(&kind, "cognigydeployments");
    let api: Api<DynamicObject> = Api::namespaced_with(namespace.client.clone(), &namespace.name, &resource);
    let strict = PostParams { dry_run: true, ..PostParams::default() };
    let whole = sample().webhook("https://ci.example.com/hooks/cognigy").with(json!({
        "rollbackPolicy": {"healthThreshold": 3, "timeoutSeconds": 300}, "monitoring": {"intervalSeconds": 15}
    }));
    let rules = manifest::validate::Rules::of_the_crd().unwrap();
    let read = |object: &Value| {
        manifest::read::read(&[manifest::read::Input { name: "sample".to_owned(), text: object.to_string() }])
    };
    let offline = |object: &Value| {
        let problems = manifest::validate::validate(&read(object), &rules);
        problems.into_iter().filter(manifest::Problem::is_error).collect::<Vec<_>>()
    };

    let table: Vec<Refused> = serde_saphyr::from_str(TABLE).unwrap();
    for Refused { case, patch, .. } in table {
        let object = whole.clone().with(patch).object();
        let refusal =
            api.create(&strict, &serde_json::from_value(object.clone()).unwrap()).await.unwrap_err().to_string();
        let problems = offline(&object);
        assert!(!problems.is_empty(), "{case} is refused by the API server only: {refusal}");
        for problem in problems {
            let is_said = refusal.contains(&problem.path)
                && (refusal.contains(&problem.message) || case == "an empty environment");
            assert!(is_said, "{case}: {problem}, but the API server says: {refusal}");
        }
    }
    for (patch, is_accepted) in OTHERS {
        // Nulls stay nulls here: this is no merge patch.
        let mut object = whole.object();
        let patch: Value = serde_json::from_str(patch).unwrap();
        for (field, value) in patch.as_object().unwrap() {
            object["spec"][field] = value.clone();
        }
        // kubectl sends 15 for 15.0, and so does what is read here.
        let sent = read(&object).deployments[0].json();
        let request = http::Request::post(format!(
            "/apis/deploy.cognigy.ai/v1alpha1/namespaces/{}/cognigydeployments?dryRun=All&fieldValidation=Strict",
            namespace.name
        ));
        let request = request.header("content-type", "application/json").body(sent.into_bytes()).unwrap();
        let answer = namespace.client.request::<Value>(request).await;
        assert_eq!(answer.is_ok(), is_accepted, "{patch}: {answer:?}");
        let problems = offline(&object);
        assert_eq!(problems.is_empty(), is_accepted, "{patch}: {problems:?}, but the API server says: {answer:?}");
        let refusal = answer.map(|_| String::new()).unwrap_or_else(|error| error.to_string());
        for problem in problems {
            assert!(refusal.contains(&problem.path), "{patch}: {problem}, but the API server says: {refusal}");
        }
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
