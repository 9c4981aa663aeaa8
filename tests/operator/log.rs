//! The operator's log, as whoever collects it reads it.

use std::process::Command;

#[test]
fn a_log_that_no_terminal_shows_has_no_colours() {
    let operator = Command::new(env!("CARGO_BIN_EXE_cognigy-operator"))
        .args(["run", "--kubeconfig", "/there/is/no/such/file"])
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let log = String::from_utf8(operator.stderr).unwrap();
    assert!(log.contains("the kubeconfig cannot be used"), "{log:?}");
    assert!(!log.contains('\x1b'), "{log:?}");
}
