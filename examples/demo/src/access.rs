//! How a cluster is reached: a kubeconfig, and the context in it.

use crate::error::{Error, Trying};
use crate::scratch;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

/// A kubeconfig, and the context in it.
pub struct Access {
    file: PathBuf,
    context: Option<String>,
}

impl Access {
    /// The current context of the file, unless one is named.
    pub fn new(file: PathBuf, context: Option<String>) -> Self {
        Self { file, context }
    }

    /// A client, and the URL of the API server. Nothing is asked yet.
    pub async fn connect(&self) -> Result<(Client, String), Error> {
        let unusable = |problem: String| Error::Kubeconfig { file: self.file.clone(), problem };
        let kubeconfig = Kubeconfig::read_from(&self.file).map_err(|error| unusable(problem_of(&error)))?;
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|error| unusable(problem_of(&error)))?;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        Ok((Client::try_from(config).map_err(|error| unusable(error.to_string()))?, server))
    }

    /// The `kubectl` command for this cluster.
    pub fn kubectl(&self) -> String {
        let context = self.context.iter().map(|context| format!(" --context {context}"));
        format!("kubectl --kubeconfig {}{}", self.file.display(), context.collect::<String>())
    }

    /// The value of the operator's flag `--kubeconfig`.
    ///
    /// The operator has no flag for a context, and uses the current one. If there are several files, the first file
    /// that names a current context decides. So the demo puts a file that only names the context before the kubeconfig.
    /// It copies no credentials.
    pub fn for_the_operator(&self) -> Result<OperatorsKubeconfig, Error> {
        let Some(context) = &self.context else {
            return Ok(OperatorsKubeconfig { paths: self.file.clone().into_os_string(), _selection: None });
        };
        let (mut file, path) = scratch::create("context.yaml").trying("make a file for the operator's context")?;
        let selection = Selection(path);
        let text = serde_json::json!({"apiVersion": "v1", "kind": "Config", "current-context": context});
        file.write_all(text.to_string().as_bytes()).trying("write the operator's context")?;
        let paths = env::join_paths([&selection.0, &self.file]);
        let paths = paths.map_err(|error| Error::Kubeconfig { file: self.file.clone(), problem: error.to_string() })?;
        Ok(OperatorsKubeconfig { paths, _selection: Some(selection) })
    }
}

/// The value of the operator's flag `--kubeconfig`. The files exist as long as this value.
pub struct OperatorsKubeconfig {
    /// One file, or two with a colon between them.
    pub paths: OsString,
    _selection: Option<Selection>,
}

/// The file that names the context; it is removed when this is dropped.
struct Selection(PathBuf);

impl Drop for Selection {
    fn drop(&mut self) {
        // If the removal fails, a small file without secrets stays. This does no harm.
        let _ = fs::remove_file(&self.0);
    }
}

/// What is wrong with a kubeconfig, without the lines that its parser quotes: they may hold tokens and passwords.
fn problem_of(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(_) => "it is not valid YAML, or no kubeconfig".to_owned(),
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        other => other.to_string(),
    }
}
