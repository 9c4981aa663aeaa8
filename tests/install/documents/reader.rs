//! A reader who runs the commands of a page.

use crate::support::{Answer, Cluster, ask, root, tools};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The programs that these tests run.
const RUN: [&str; 6] = ["cognigy-operator", "curl", "dev/release/check", "dev/release/notes", "helm", "kubectl"];

/// A server program. It runs in its own terminal until it is stopped.
struct ServerProgram {
    begins: &'static str,
    /// The address on which it listens, as the pages write it.
    address: &'static str,
    /// The address of its Service in a cluster, as the pages write it.
    service: Option<&'static str>,
    flag: &'static str,
    /// A part of the log line that contains its address, when it serves.
    ready: &'static str,
}

static SERVERS: [ServerProgram; 2] = [
    ServerProgram {
        begins: "cognigy-operator run",
        address: "127.0.0.1:8080",
        service: None,
        flag: "--metrics-addr",
        ready: "cognigy-operator is running",
    },
    ServerProgram {
        begins: "cognigy-operator simulator",
        address: "127.0.0.1:8090",
        service: Some("cognigy-operator-simulator.cognigy-system.svc:8090"),
        flag: "--listen",
        ready: "the simulator is listening",
    },
];

/// Runs the commands of pages in one cluster. The servers that it has started run until it is dropped.
pub(crate) struct Reader<'c> {
    cluster: &'c Cluster,
    running: Vec<Child>,
    /// The real addresses of the servers, by the address in the pages. The ports are free ones.
    addresses: BTreeMap<&'static str, String>,
}

impl<'c> Reader<'c> {
    pub(crate) fn new(cluster: &'c Cluster) -> Self {
        Self { cluster, running: Vec::new(), addresses: BTreeMap::new() }
    }

    /// Runs a command of a page with this cluster, the operator under test, and the tools. Returns its output, which is
    /// empty for a server.
    pub(crate) async fn run(&mut self, page: &str, command: &str) -> String {
        let command = command.replace("cargo run -- ", "cognigy-operator ");
        if let Some(server) = SERVERS.iter().find(|server| command.starts_with(server.begins)) {
            self.start(page, server, &command).await;
            return String::new();
        }
        let program = command.split(' ').next().unwrap();
        assert!(
            RUN.contains(&program),
            "{page}: add this command to elsewhere.rs, with the reason why no test runs it: {command}"
        );
        let command = self.with_addresses(command);
        let mut shell = self.shell().await;
        shell.args(["-c", &command]);
        let Answer { is_success, output, error } = ask(shell, "").await;
        assert!(is_success, "{page}: {command}\n{output}{error}");
        println!("{output}");
        output
    }

    /// Starts a server, and waits until it serves.
    async fn start(&mut self, page: &str, server: &'static ServerProgram, command: &str) {
        self.addresses.remove(server.address);
        let any_port = format!("{} 127.0.0.1:0", server.flag);
        let named = format!("{} {}", server.flag, server.address);
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
            if line.contains(server.ready) {
                break address_in(&line);
            }
            said.push_str(&line);
            said.push('\n');
        };
        // The log must be read, otherwise the server would block when the pipe is full.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        self.addresses.extend(server.service.map(|service| (service, address.clone())));
        self.addresses.insert(server.address, address);
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

/// The first loopback address in a line.
fn address_in(line: &str) -> String {
    let start = line.find("127.0.0.1:").unwrap_or_else(|| panic!("the line has no address: {line}"));
    let is_address = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | ':');
    line[start..].chars().take_while(|letter| is_address(*letter)).collect()
}
