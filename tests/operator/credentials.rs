//! Credentials from Secrets, the default credentials, endpoints, and certificates.

use crate::support::*;

#[tokio::test]
async fn a_missing_secret_stalls_the_resource_until_it_exists() {
    let namespace = plan().await.without_secret().start().await;
    let bot = namespace.apply(sample()).await;
    let object = bot.until_stalled(Reason::CredentialsNotFound).await;
    let message = &object.condition(ConditionType::Stalled).message;
    assert!(message.contains("cognigy-api") && message.contains("clientId"), "{message}");
    assert_eq!(object.says(ConditionType::Ready), (False, Reason::CredentialsNotFound));
    bot.until_event("Warning", Reason::CredentialsNotFound).await;

    namespace.put_secret("cognigy-api", namespace.credentials()).await;
    bot.request_retry("the Secret is there").await;
    bot.until_settled(1, Outcome::Succeeded).await;
}

#[tokio::test]
async fn the_message_about_an_incomplete_secret_names_the_missing_key_and_shows_no_value() {
    let namespace = plan().await.without_secret().start().await;
    namespace.put_secret("cognigy-api", json!({"clientSecret": "s3cr3t-value"})).await;
    let object = namespace.apply(sample()).await.until_stalled(Reason::CredentialsInvalid).await;
    assert!(object.condition(ConditionType::Stalled).message.contains("clientId"));
    assert!(!serde_json::to_string(&object.status).unwrap().contains("s3cr3t-value"));
    assert!(!namespace.operator().log().text().contains("s3cr3t-value"));
}

#[tokio::test]
async fn refused_credentials_stall_the_resource_and_are_not_tried_again_without_a_request() {
    let namespace = plan().await.without_secret().start().await;
    let mut wrong = namespace.credentials();
    wrong["clientSecret"] = json!("not-the-secret");
    namespace.put_secret("cognigy-api", wrong).await;
    let bot = namespace.apply(sample()).await;
    let object = bot.until_stalled(Reason::Unauthorized).await;
    assert_eq!(namespace.calls(), [Call::Token]);
    assert!(!serde_json::to_string(&object.status).unwrap().contains("not-the-secret"));
    assert!(!namespace.operator().log().text().contains("not-the-secret"));

    namespace.put_secret("cognigy-api", namespace.credentials()).await;
    bot.request_retry("corrected").await;
    bot.until_settled(1, Outcome::Succeeded).await;
}

/// The token request succeeds, but the API refuses the token: its client lacks a right, or the environment belongs to
/// another tenant.
#[tokio::test]
async fn a_refusal_of_the_token_by_the_api_stalls_the_resource_at_each_check() {
    for (call, code, requests) in [
        (Call::Validate, 401, vec![Call::Token, Call::Validate, Call::Token, Call::Validate]),
        (Call::Validate, 403, vec![Call::Token, Call::Validate]),
        (Call::Trace, 401, vec![Call::Token, Call::Validate, Call::Trace, Call::Token, Call::Trace]),
        (Call::Trace, 403, vec![Call::Token, Call::Validate, Call::Trace]),
    ] {
        let name = format!("{call:?}").to_lowercase();
        let fault = format!("faults: [{{call: {name}, times: forever, fault: {{status: {{code: {code}}}}}}}]");
        let namespace = plan().await.scenario(&fault).start().await;
        let bot = namespace.apply(sample()).await;
        let object = bot.until_stalled(Reason::Unauthorized).await;
        assert_eq!(object.says(ConditionType::Ready), (False, Reason::Unauthorized), "{call:?} {code}");
        assert_eq!(namespace.calls(), requests, "{code} to {call:?}");
        bot.until_event("Warning", Reason::Unauthorized).await;

        namespace.clear_faults();
        bot.request_retry("the rights are there").await;
        bot.until_settled(1, Outcome::Succeeded).await;
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_during_a_rollout_is_replaced() {
    let namespace = with_running_jobs("").await;
    let bot = namespace.apply(sample()).await;
    bot.until_step(Step::RollingOut).await;
    namespace.platform.handle().with(simulator::World::revoke_tokens);
    namespace.let_jobs_end();
    bot.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(namespace.request_count(Call::Token), 2);
}

#[tokio::test]
async fn the_default_credentials_are_used_in_the_namespaces_that_the_flag_lists() {
    let namespace = plan()
        .await
        .without_secret()
        .flags(&["--default-credentials-namespace", "{namespace}"])
        .flags(&["--base-url", "{url}", "--token-url", "{url}/oauth/token", "--requests-per-minute", "6000"])
        .variable("COGNIGY_CLIENT_ID", "demo")
        .variable("COGNIGY_CLIENT_SECRET", "demo-secret")
        .start()
        .await;
    let bot = namespace.apply(sample().with(json!({"credentialsRef": null}))).await;
    bot.until_settled(1, Outcome::Succeeded).await;
}

#[tokio::test]
async fn the_default_credentials_can_be_set_by_environment_variables_alone() {
    let namespace = plan()
        .await
        .without_secret()
        .variable("COGNIGY_DEFAULT_CREDENTIALS_NAMESPACES", "*")
        .variable("COGNIGY_BASE_URL", "{url}/api/v2")
        .variable("COGNIGY_TOKEN_URL", "{url}/oauth/token")
        .variable("COGNIGY_REQUESTS_PER_MINUTE", "6000")
        .variable("COGNIGY_CLIENT_ID", "demo")
        .variable("COGNIGY_CLIENT_SECRET", "demo-secret")
        .variable("CI_CD_WEBHOOK_URL", "{url}/webhooks/default")
        .variable("COGNIGY_DEFAULT_WEBHOOK_NAMESPACES", "another,{namespace}")
        .start()
        .await;
    let bot = namespace.apply(sample().with(json!({"credentialsRef": null}))).await;
    bot.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(namespace.webhooks()[0].name, "default");
    let submit = namespace.requests(Call::Submit)[0].body.clone().unwrap();
    assert_eq!(submit["webhookCallbackUrl"], json!(format!("{}/webhooks/default", namespace.platform.url())));
}

#[tokio::test]
async fn the_default_credentials_are_used_neither_in_other_namespaces_nor_for_a_missing_secret() {
    let namespace = plan()
        .await
        .without_secret()
        .flags(&["--default-credentials-namespace", "elsewhere", "--base-url", "{url}"])
        .variable("COGNIGY_CLIENT_ID", "demo")
        .variable("COGNIGY_CLIENT_SECRET", "demo-secret")
        .start()
        .await;
    let bot = namespace.apply(sample().with(json!({"credentialsRef": null}))).await;
    bot.until_stalled(Reason::CredentialsNotFound).await;
    let other = namespace.apply(sample().named("other").environment("env_other")).await;
    other.until_stalled(Reason::CredentialsNotFound).await;
    assert_eq!(namespace.calls(), []);
}

#[tokio::test]
async fn credentials_for_another_endpoint_give_no_verdict_about_a_running_job() {
    let mut namespace = with_running_jobs("").await;
    let stranger = plan().await.without_operator().start().await;
    namespace.apply(sample()).await.until_step(Step::RollingOut).await;
    namespace.kill_operator().await;
    namespace.put_secret("cognigy-api", stranger.credentials()).await;
    namespace.start_operator().await;
    let bot = namespace.resource("bot");
    bot.until_stalled(Reason::EndpointChanged).await;
    assert_eq!(stranger.calls(), [], "the other platform receives no request");
    namespace.let_jobs_end();

    namespace.put_secret("cognigy-api", namespace.credentials()).await;
    namespace.restart_operator().await;
    namespace.resource("bot").until_settled(1, Outcome::Succeeded).await;
}

#[tokio::test]
async fn an_address_outside_the_egress_allow_list_is_not_contacted() {
    let namespace = new_namespace().await;
    let mut inside = namespace.credentials();
    inside["baseUrl"] = json!("http://10.96.0.1");
    namespace.put_secret("cognigy-api", inside).await;
    let bot = namespace.apply(sample()).await;
    let object = bot.until_stalled(Reason::EndpointRefused).await;
    assert!(object.condition(ConditionType::Stalled).message.contains("--egress-allow"));
    assert_eq!(namespace.request_count(Call::Validate), 0);
}

#[tokio::test]
async fn a_platform_with_a_private_certificate_authority_needs_that_certificate_in_the_secret() {
    let (tls, authority) = certified("127.0.0.1");
    let namespace = plan().await.tls(tls).start().await;
    let bot = namespace.apply(sample()).await;
    let object = bot.until_ready_reason(Reason::ApiUnavailable).await;
    let message = &object.condition(ConditionType::Ready).message;
    assert!(message.to_lowercase().contains("certificate"), "the message names the cause: {message}");
    assert_eq!(namespace.calls(), [], "an untrusted server receives no request");

    let mut trusting = namespace.credentials();
    trusting["ca.crt"] = json!(authority);
    namespace.put_secret("cognigy-api", trusting).await;
    bot.edit(&sample().version("2.0.0")).await;
    bot.until_settled(2, Outcome::Succeeded).await;
}

#[tokio::test]
async fn a_certificate_authority_in_the_secret_is_trusted_for_the_api_but_not_for_webhooks() {
    let (tls, authority) = certified("127.0.0.1");
    let namespace = plan().await.tls(tls).start().await;
    let mut trusting = namespace.credentials();
    trusting["ca.crt"] = json!(authority);
    namespace.put_secret("cognigy-api", trusting).await;
    let bot = namespace.apply(sample().webhook(&namespace.webhook_url())).await;
    let object = bot.until_ready().await;
    let object = match object.says(ConditionType::Delivered) {
        (Unknown, Reason::DeliveryPending) => object,
        other => panic!("the event is not pending, although the webhook has an untrusted certificate: {other:?}"),
    };
    assert_eq!(object.attempt().outcome(), Some(Outcome::Succeeded));
    namespace.operator().until_logged_anywhere("webhook at 127.0.0.1: no connection: invalid peer certificate").await;
    assert_eq!(namespace.request_count(Call::Webhook), 0);
}

#[tokio::test]
async fn a_certificate_authority_in_ssl_cert_dir_is_trusted_for_all_connections() {
    let (tls, authority) = certified("127.0.0.1");
    let bundle = tempfile::tempdir().unwrap();
    // A mounted ConfigMap looks like this: its keys are links into a hidden folder.
    let data = bundle.path().join("..data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("example-ca.pem"), authority).unwrap();
    std::os::unix::fs::symlink("..data/example-ca.pem", bundle.path().join("example-ca.pem")).unwrap();
    let folders = format!("/etc/ssl/certs:{}", bundle.path().display());
    let namespace = plan().await.tls(tls).variable("SSL_CERT_DIR", &folders).start().await;
    namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
}

#[tokio::test]
async fn the_message_about_an_invalid_certificate_names_its_key_in_the_secret() {
    let namespace = new_namespace().await;
    let mut broken = namespace.credentials();
    broken["ca.crt"] = json!("not a certificate");
    namespace.put_secret("cognigy-api", broken).await;
    let object = namespace.apply(sample()).await.until_stalled(Reason::CredentialsInvalid).await;
    assert!(object.condition(ConditionType::Stalled).message.contains("ca.crt"));
}
