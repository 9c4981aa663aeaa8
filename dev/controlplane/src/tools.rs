//! The programs that check what users install: Helm renders, installs and upgrades the chart; kubeconform checks the
//! rendered objects against schemas.
//!
//! They are searched for in this order: the folder that `COGNIGY_TOOLS` names, the cache, a build into the cache.

use std::path::{Path, PathBuf};

use crate::{
    error::Error,
    recipe::{Program, Recipe},
};

const HELM: &str = "helm";
const KUBECONFORM: &str = "kubeconform";

/// `go.mod` names the same version of Helm; a test checks that both are equal.
static TOOLS: Recipe = Recipe {
    wanted: "helm and kubeconform",
    release: "Helm v4.3.1",
    version: "helm-v4.3.1",
    cache: "tools",
    variable: "COGNIGY_TOOLS",
    otherwise: "",
    go_mod: include_str!("../../tools/go.mod"),
    go_sum: include_str!("../../tools/go.sum"),
    // Without symbols, and with the version that `helm version` and charts see.
    linker_flags: "-s -w -X helm.sh/helm/v4/internal/version.version=v4.3.1",
    programs: &[
        Program { name: HELM, package: "helm.sh/helm/v4/cmd/helm", built_as: HELM },
        Program { name: KUBECONFORM, package: "github.com/yannh/kubeconform/cmd/kubeconform", built_as: KUBECONFORM },
    ],
};

/// The tools. All of them existed when they were searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// Finds the tools, or builds them. A build takes minutes, happens once on each machine, and shows progress on
    /// standard error.
    ///
    /// # Errors
    ///
    /// [`Error::NoBinaries`], [`Error::Assets`] and [`Error::Build`]; each message says what to do.
    pub async fn find() -> Result<Self, Error> {
        Ok(Self { folder: TOOLS.folder().await? })
    }

    /// Helm 4.
    #[must_use]
    pub fn helm(&self) -> PathBuf {
        self.folder.join(HELM)
    }

    /// kubeconform.
    #[must_use]
    pub fn kubeconform(&self) -> PathBuf {
        self.folder.join(KUBECONFORM)
    }

    /// The folder that contains them, for a `PATH`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_module_file_the_linker_flags_and_the_recipe_name_one_helm() {
        let required = TOOLS.go_mod.lines().find(|line| line.contains("helm.sh/helm/v4 v")).unwrap();
        let version = TOOLS.version.strip_prefix("helm-").unwrap();
        assert!(required.contains(&format!("helm.sh/helm/v4 {version}")), "{required}");
        assert!(TOOLS.linker_flags.ends_with(&format!("version.version={version}")));
        assert!(TOOLS.release.ends_with(version));
    }

    #[test]
    fn every_program_is_a_tool_of_the_module_file() {
        for program in TOOLS.programs {
            let named = TOOLS.go_mod.lines().any(|line| line.trim().trim_start_matches("tool ") == program.package);
            assert!(named, "{} is no tool in go.mod", program.package);
        }
    }
}
