//! `kubectl cognigy promote` works without a cluster and without a kubeconfig.

use crate::support::*;

const HEAD: &str = "apiVersion: deploy.cognigy.ai/v1alpha1\nkind: CognigyDeployment\nmetadata: {name: bot}\nspec:\n";

#[tokio::test]
async fn a_release_goes_from_file_to_file_without_a_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), format!("{HEAD}{text}")).unwrap();
    write("staging.yaml", "  environmentId: s\n  configurationSnapshot: {botVersion: 2.5.0}\n");
    write("prod.yaml", "  environmentId: p\n  configurationSnapshot: {botVersion: 2.4.0} # kept\n");
    let promote = async |flags: &[&str]| {
        let mut command = tokio::process::Command::new(PLUGIN);
        command.args(["promote", "staging.yaml", "prod.yaml"]).args(flags).current_dir(folder.path());
        command.env("KUBECONFIG", "/does/not/exist").env("LC_ALL", "C.UTF-8");
        run(command).await
    };
    let text = || std::fs::read_to_string(folder.path().join("prod.yaml")).unwrap();

    let dry = promote(&["--dry-run"]).await.exits(0);
    assert!(dry.stdout.starts_with("--- a/prod.yaml\n+++ b/prod.yaml\n@@ "), "{dry:#?}");
    assert!(dry.stderr.contains("dry run: nothing was written") && text().contains("2.4.0"), "{dry:#?}");

    let done = promote(&["-o", "json"]).await.exits(0).json();
    assert_eq!(done["changed"], json!(["spec.configurationSnapshot"]), "{done}");
    assert_eq!(text(), format!("{HEAD}  environmentId: p\n  configurationSnapshot: {{botVersion: 2.5.0}} # kept\n"));

    assert!(promote(&[]).await.exits(0).stdout.contains("nothing to do"));
    assert!(promote(&["--name", "other"]).await.exits(2).stderr.contains("it has no CognigyDeployment other"));
}
