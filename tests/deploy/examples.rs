//! The example that the pages use works against the simulator.

use crate::stage::Stage;
use std::path::Path;
use tokio::process::Command;

#[tokio::test]
async fn the_example_is_deployed_with_the_flags_that_the_pages_have() {
    let stage = Stage::new("").await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = std::fs::read_to_string(folder.join("examples/one-shot/release.yaml")).unwrap();
    let address = stage.platform.url().replace("http://", "");
    assert!(example.contains("127.0.0.1:8090"));
    std::fs::write(stage.path("release.yaml"), example.replace("127.0.0.1:8090", &address)).unwrap();
    let command = "cargo run -- deploy -f examples/one-shot/release.yaml --egress-allow 127.0.0.1:8090";
    let page = std::fs::read_to_string(folder.join("docs/deploy.md")).unwrap();
    assert!(page.contains(&format!("$ {command}\n")), "docs/deploy.md must run the example");
    let output = Command::new(env!("CARGO_BIN_EXE_cognigy-operator"))
        .args(["deploy", "-f", "release.yaml", "--egress-allow", &address])
        .current_dir(stage.path(""))
        .env_clear()
        .env("XDG_STATE_HOME", stage.path("state"))
        .output()
        .await
        .unwrap();
    let [said, progress] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(output.status.code(), Some(0), "{said}{progress}");
    assert!(said.starts_with("bots/customer-service-prod deployed: attempt 1 succeeded"), "{said}");
    assert!(progress.contains("/state/cognigy-operator/bots.customer-service-prod.json\n"), "{progress}");
    assert_eq!(stage.webhooks(), [true]);
    stage.has_no_violations();
}
