//! What a terminal shows: through a pseudo-terminal, as its screen.

use crate::support::*;
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use std::io::Read;

/// The screen after a command has ended, and what was written to it.
struct Shown {
    screen: vt100::Parser,
    written: String,
}

/// Runs a command in a terminal of this width.
async fn in_terminal(namespace: &TestNamespace, columns: u16, variables: &[(&str, &str)], arguments: &[&str]) -> Shown {
    let size = PtySize { rows: 40, cols: columns, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(PLUGIN);
    command.args(arguments);
    command.args(["--namespace", &namespace.name]);
    command.env("KUBECONFIG", shared().await.kubeconfig());
    command.env("TERM", "xterm-256color");
    command.env("LC_ALL", "C.UTF-8");
    command.env_remove("NO_COLOR");
    variables.iter().for_each(|(name, value)| command.env(name, value));
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let mut reader = pair.master.try_clone_reader().unwrap();
    let read = tokio::task::spawn_blocking(move || {
        let mut written = Vec::new();
        // At the end of the process, Linux reports an error instead of the end of the file.
        let _ = reader.read_to_end(&mut written);
        child.wait().unwrap();
        written
    });
    let written = tokio::time::timeout(DEADLINE, read).await.expect("the command ends").unwrap();
    let mut screen = vt100::Parser::new(40, columns, 0);
    screen.process(&written);
    Shown { screen, written: String::from_utf8(written).unwrap() }
}

#[tokio::test]
async fn a_tree_fits_the_terminal_and_says_the_same_without_colour() {
    let namespace = with_environment("deploymentsAreUnhealthy: true").await;
    let bot = namespace.apply(sample()).await;
    bot.until_settled(1, api::status::Outcome::RolledBack).await;
    bot.until_event("Normal", api::Reason::HealthGood).await;
    for columns in [80, 200] {
        let colored = in_terminal(&namespace, columns, &[], &["status", "bot"]).await;
        let plain = in_terminal(&namespace, columns, &[("NO_COLOR", "1")], &["status", "bot"]).await;
        assert!(colored.written.contains("\u{1b}["), "{}", colored.written);
        assert!(!plain.written.contains('\u{1b}'), "{}", plain.written);
        let text = plain.screen.screen().contents();
        let fixed = |text: &str| {
            let words = text.split_whitespace().filter(|word| !word.chars().any(|letter| letter.is_ascii_digit()));
            words.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            fixed(&colored.screen.screen().contents()),
            fixed(&text),
            "colour says nothing that the text does not"
        );
        for stage in ["✔ validate", "✖ health", "✔ rollback", "✔ restored", "✔ deliveries"] {
            assert!(text.contains(stage), "{columns}: {stage}\n{text}");
        }
        // A line that is too long would continue on the next row, and the tree would have more rows than lines.
        let rows = text.lines().count();
        let lines = plain.written.lines().count();
        assert_eq!(rows, lines, "{columns} columns:\n{text}");
    }
}

#[tokio::test]
async fn a_terminal_without_unicode_gets_ascii() {
    let namespace = new_namespace().await;
    namespace.apply(sample()).await.until_ready().await;
    let shown = in_terminal(&namespace, 80, &[("LC_ALL", "C"), ("LANG", "C")], &["status", "bot"]).await;
    assert!(shown.written.is_ascii() && shown.written.contains("[+]"), "{}", shown.written);
}
