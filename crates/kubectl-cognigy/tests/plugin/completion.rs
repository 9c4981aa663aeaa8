//! Completion and the man page.

use crate::support::*;

#[tokio::test]
async fn kubectl_completes_commands_flags_and_names() {
    let namespace = plan().await.without_operator().start().await;
    namespace.apply(sample().named("customer-service")).await;
    let complete = async |words: &[&str]| {
        let mut words: Vec<&str> = [&["__complete", "--"], words].concat();
        words.splice(2..2, ["--namespace", &namespace.name]);
        let mut command = tokio::process::Command::new(PLUGIN);
        command.args(&words).env("KUBECONFIG", shared().await.kubeconfig());
        run(command).await.exits(0).stdout
    };
    assert!(complete(&["stat"]).await.starts_with("status\t"));
    assert!(complete(&["wait", "--f"]).await.contains("--for"));
    assert_eq!(complete(&["status", "cust"]).await, "customer-service\n:4\n");
}

#[tokio::test]
async fn every_shell_has_a_script_and_there_is_a_man_page() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish", "kubectl"] {
        let mut command = tokio::process::Command::new(PLUGIN);
        command.args(["completion", shell]).env_remove("KUBECONFIG");
        let said = run(command).await.exits(0);
        assert!(said.stdout.contains("kubectl-cognigy"), "{shell}: {said:#?}");
    }
    let mut command = tokio::process::Command::new(PLUGIN);
    command.arg("man");
    assert!(run(command).await.exits(0).stdout.contains(".TH kubectl-cognigy"));
}
