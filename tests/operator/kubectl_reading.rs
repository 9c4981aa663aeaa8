//! kubectl reads a manifest as the table says that the offline reader is tested with.

use serde_json::Value;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The table of the reader.
const TABLE: &str = include_str!("../../crates/manifest/src/tests/kubectl.txt");

/// What kubectl makes of a manifest. With `--local` it asks no cluster.
async fn read(manifest: &str) -> Option<String> {
    let mut kubectl = Command::new("kubectl")
        .args(["label", "--local", "-f", "-", "-o", "json", "read=yes"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("kubectl is on the PATH");
    let mut stdin = kubectl.stdin.take().unwrap();
    stdin.write_all(manifest.as_bytes()).await.unwrap();
    drop(stdin);
    let output = kubectl.wait_with_output().await.unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn kubectl_reads_each_scalar_as_the_table_says() {
    let rows: Vec<(&str, &str)> =
        TABLE.lines().filter(|line| !line.starts_with("# ")).map(|row| row.rsplit_once('\t').unwrap()).collect();
    assert!(rows.len() > 120, "the table was read");
    // What kubectl refuses is asked about alone. The rest is one manifest.
    let head = "apiVersion: deploy.cognigy.ai/v1alpha1\nkind: CognigyDeployment\nmetadata: {name: a}\nspec:\n";
    let mut manifest = head.to_owned();
    for (index, (scalar, json)) in rows.iter().enumerate() {
        match *json {
            "refused" => {
                let answer = read(&format!("{head}  v: {scalar}\n")).await;
                assert_eq!(answer, None, "kubectl reads {scalar}");
            }
            _ => manifest.push_str(&format!("  v{index}: {scalar}\n")),
        }
    }
    let answer = read(&manifest).await.expect("kubectl reads the rest");
    for (index, (scalar, json)) in rows.iter().enumerate().filter(|(_, (_, json))| *json != "refused") {
        let line = format!("\"v{index}\": {json}");
        let is_said = answer.lines().any(|known| known.trim().trim_end_matches(',') == line);
        assert!(is_said, "kubectl reads {scalar} in another way than {json}");
    }
    assert!(serde_json::from_str::<Value>(&answer).is_ok());
}
