//! Secrets that are planted wherever the command takes one, and looked for wherever it says something.

use crate::stage::{GOOD, Stage};
use serde_json::json;
use testkit::PlantedSecret;

const CLIENT_SECRET: &str = "c1i3nt/s3cr3t+&\"canary\"=";
const HOOK: &str = "h00k-canary-T0ken";
const OWN_HOOK: &str = "0wn-h00k-canary-T0ken";
const UNUSED: &str = "unus3d/s3cr3t+&\"canary\"=";

/// The webhook of the manifest, or of the environment if the manifest names none.
#[tokio::test]
async fn no_secret_is_in_the_journal_or_in_what_is_said() {
    for (hook, is_in_the_manifest) in [(HOOK, true), (OWN_HOOK, false)] {
        let stage = Stage::new(&scenario(hook)).await;
        let url = format!("{}/webhooks/{hook}", stage.platform.url());
        let webhook = if is_in_the_manifest { json!({ "url": url }) } else { json!(null) };
        let mut documents = stage.manifest(GOOD, &json!({ "webhook": webhook }));
        documents[1] = stage.secret(CLIENT_SECRET);
        let mut unused = documents[1].clone();
        unused["metadata"]["name"] = json!("unused");
        unused["stringData"] = json!({"key": UNUSED});
        documents.push(unused);
        stage.write(&documents);
        let mut command = stage.command(&["-v"]);
        command.env("RUST_LOG", "info,cognigy_operator=trace").env("CI_CD_WEBHOOK_URL", url);
        let output = command.output().await.unwrap();
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.contains("[redacted]"), "the platform must quote a secret:\n{text}");
        assert_eq!(stage.webhooks(), [true]);
        let canaries = [
            PlantedSecret::new("client secret", CLIENT_SECRET),
            PlantedSecret::new("webhook", hook),
            PlantedSecret::new("Secret that nobody uses", UNUSED),
        ];
        for (place, text) in [("journal", stage.journal_text()), ("output", text)] {
            for canary in &canaries {
                let found = canary.found_in(&text);
                assert!(found.is_none(), "the {place} holds the {} as {found:?}:\n{text}", canary.place);
            }
        }
    }
}

/// A platform that quotes what a request told it, wherever it has words.
fn scenario(hook: &str) -> String {
    let quoted = json!(format!("{CLIENT_SECRET} at /webhooks/{hook}"));
    let clients = json!([{"clientId": "demo", "clientSecret": CLIENT_SECRET}]);
    let faults = json!([
        {"call": "submit", "fault": {"status": {"code": 503, "body": {"message": quoted}}}},
        {"call": "webhook", "fault": {"status": {"code": 500, "body": quoted}}},
        {"call": "health", "fault": {"status": {"code": 500, "body": [CLIENT_SECRET]}}},
    ]);
    let environments = json!({"env_prod_us_01": {"validationWarnings": [CLIENT_SECRET]}});
    format!("clients: {clients}\nfaults: {faults}\nenvironments: {environments}")
}
