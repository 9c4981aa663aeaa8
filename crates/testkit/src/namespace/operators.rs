//! The operators of a test's namespace.

use super::TestNamespace;
use crate::{OperatorCommand, OperatorProcess};
use std::path::Path;

/// The namespace owns one operator at most, which [`start_operator`](TestNamespace::start_operator) starts. Every other
/// operator belongs to the caller.
impl TestNamespace {
    /// Starts the operator of this namespace, and waits until it is running. It has the flags and variables of the
    /// plan.
    pub async fn start_operator(&mut self) {
        let operator = self.spawn_operator("operator", &self.kubeconfig, &[]);
        operator.until_running().await;
        self.operator = Some(operator);
    }

    /// The operator of this namespace.
    #[must_use]
    pub fn operator(&self) -> &OperatorProcess {
        self.operator.as_ref().expect("the operator runs")
    }

    /// Kills the operator of this namespace, which simulates a crash.
    pub async fn kill_operator(&mut self) {
        self.take_operator().kill().await;
    }

    /// Kills the operator of this namespace, which simulates a crash, and starts it again.
    pub async fn restart_operator(&mut self) {
        self.kill_operator().await;
        self.start_operator().await;
    }

    /// Hands the operator of this namespace to the caller.
    pub fn take_operator(&mut self) -> OperatorProcess {
        self.operator.take().expect("the operator runs")
    }

    /// Starts another operator, and waits until it is running.
    pub async fn run_operator(&self, name: &str) -> OperatorProcess {
        self.run_operator_with(name, &self.kubeconfig, &[]).await
    }

    /// Does the same with another kubeconfig and more flags.
    pub async fn run_operator_with(&self, name: &str, kubeconfig: &Path, flags: &[&str]) -> OperatorProcess {
        let operator = self.spawn_operator(name, kubeconfig, flags);
        operator.until_running().await;
        operator
    }

    /// Starts another operator that takes part in leader election with these flags, and waits until it is running.
    pub async fn run_replica(&self, name: &str, election: &[&str]) -> OperatorProcess {
        let replica = self.spawn_replica(name, election);
        replica.until_running().await;
        replica
    }

    /// Does the same without waiting.
    pub fn spawn_replica(&self, name: &str, election: &[&str]) -> OperatorProcess {
        let namespace = format!("--leader-election-namespace={}", self.name);
        let flags: Vec<&str> = ["--leader-elect", &namespace].iter().chain(election).copied().collect();
        self.spawn_operator(name, &self.kubeconfig, &flags)
    }

    /// Starts another operator with this kubeconfig and more flags, without waiting.
    pub fn spawn_operator(&self, name: &str, kubeconfig: &Path, flags: &[&str]) -> OperatorProcess {
        let more = flags.iter().map(|flag| (*flag).to_owned());
        let command = OperatorCommand {
            binary: self.binary.clone(),
            name: name.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            flags: self.flags.iter().cloned().chain(more).collect(),
            variables: self.variables.clone(),
        };
        let operator = command.spawn();
        self.logs.lock().unwrap().push(operator.log().clone());
        operator
    }
}
