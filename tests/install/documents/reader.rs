//! Somebody who follows a page, command by command.

use crate::support::{Answer, Cluster, ask, root, tools};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The programs that are run here.
const RUN: [&str; 6] = ["cognigy-operator", "curl", "dev/release/check", "dev/release/notes", "helm", "kubectl"];

/// A program that stays: it serves until it is stopped, in a terminal of its own.
struct Stays {
    begins: &'static str,
    /// Where it listens, in the pages.
    address: &'static str,
    /// Where it is reached as a pod of the cluster, in the pages.
    service: Option<&'static str>,
    flag: &'static str,
    /// What it logs once it serves, in the line that tells its address.
    ready: &'static str,
}

static STAYS: [Stays; 2] = [
    Stays {
        begins: "cognigy-operator run",
        address: "127.0.0.1:8080",
        service: None,
        flag: "--metrics-addr",
        ready: "cognigy-operator is running",
    },
    Stays {
        begins: "cognigy-operator simulator",
        address: "127.0.0.1:8090",
        service: Some("cognigy-operator-simulator.cognigy-system.svc:8090"),
        flag: "--listen",
        ready: "the simulator listens",
    },
];

/// Follows pages in one cluster. What it has started runs until it is dropped.
pub(crate) struct Reader<'c> {
    cluster: &'c Cluster,
    running: Vec<Child>,
    /// Where the programs of the pages' addresses listen: on ports that were free.
    addresses: BTreeMap<&'static str, String>,
}

impl<'c> Reader<'c> {
    pub(crate) fn new(cluster: &'c Cluster) -> Self {
        Self { cluster, running: Vec::new(), addresses: BTreeMap::new() }
    }

    /// Runs a command as a page has it, with this cluster, the operator that is tested, and the tools at hand. Returns its
    /// output. A program that stays has none.
    pub(crate) async fn run(&mut self, page: &str, command: &str) -> String {
        let command = command.replace("cargo run -- ", "cognigy-operator ");
        if let Some(stays) = STAYS.iter().find(|stays| command.starts_with(stays.begins)) {
            self.start(page, stays, &command).await;
            return String::new();
        }
        let program = command.split(' ').next().unwrap();
        assert!(RUN.contains(&program), "{page}: say in the table of reasons why this is not run: {command}");
        let command = self.with_addresses(command);
        let mut shell = self.shell().await;
        shell.args(["-c", &command]);
        let Answer { is_success, output, error } = ask(shell, "").await;
        assert!(is_success, "{page}: {command}\n{output}{error}");
        println!("{output}");
        output
    }

    /// Starts a program that stays, and waits until it serves.
    async fn start(&mut self, page: &str, stays: &'static Stays, command: &str) {
        self.addresses.remove(stays.address);
        let any_port = format!("{} 127.0.0.1:0", stays.flag);
        let named = format!("{} {}", stays.flag, stays.address);
        let command = match command.contains(&named) {
            true => command.replace(&named, &any_port),
            false => format!("{command} {any_port}"),
        };
        let command = format!("exec {}", self.with_addresses(command));
        let mut shell = self.shell().await;
        shell.args(["-c", &command]).current_dir(root()).stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = shell.spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let address = loop {
            let Some(line) = log.next_line().await.unwrap() else { panic!("{page}: {command} has ended:\n{said}") };
            if line.contains(stays.ready) {
                break address_in(&line);
            }
            said.push_str(&line);
            said.push('\n');
        };
        // Read on, so that it never waits for somebody to read its log.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        self.addresses.extend(stays.service.map(|service| (service, address.clone())));
        self.addresses.insert(stays.address, address);
        self.running.push(process);
    }

    fn with_addresses(&self, command: String) -> String {
        self.addresses.iter().fold(command, |command, (written, real)| command.replace(written, real))
    }

    async fn shell(&self) -> Command {
        let operator = Path::new(env!("CARGO_BIN_EXE_cognigy-operator")).parent().unwrap();
        let own = [tools().await.folder().to_owned(), operator.to_owned()];
        let path: OsString = std::env::var_os("PATH").unwrap();
        let path = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&path))).unwrap();
        let mut shell = Command::new("sh");
        shell.env("PATH", path).env_remove("RUST_LOG");
        self.cluster.as_the_only_cluster(&mut shell);
        shell
    }
}

/// The first address of this machine in a line.
fn address_in(line: &str) -> String {
    let start = line.find("127.0.0.1:").unwrap_or_else(|| panic!("an address is in: {line}"));
    let is_address = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | ':');
    line[start..].chars().take_while(|letter| is_address(*letter)).collect()
}
