//! Finds or builds kube-apiserver and etcd.
//!
//! They are searched for in this order: the folder that `KUBEBUILDER_ASSETS` names (the convention of Kubernetes' own
//! test environments), the cache, a build into the cache.

use std::path::PathBuf;

use crate::{
    error::Error,
    recipe::{Place, Program, Recipe},
};

/// The names of the two files in a folder of binaries.
pub(crate) const KUBE_APISERVER: &str = "kube-apiserver";
pub(crate) const ETCD: &str = "etcd";

/// The Kubernetes release that is built. `go.mod` names the same version; a test checks that both are equal.
const KUBERNETES_VERSION: &str = "v1.37.2";

/// Without symbols, and with the version that clients ask for (kubectl cannot parse the placeholder that is there
/// otherwise).
const LINKER_FLAGS: &str = "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.37.2 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=37";

static CONTROL_PLANE: Recipe = Recipe {
    wanted: "kube-apiserver and etcd",
    release: "Kubernetes v1.37.2",
    version: KUBERNETES_VERSION,
    cache: "control-plane",
    variable: "KUBEBUILDER_ASSETS",
    otherwise: ", or use a cluster of your own (--kubeconfig or KUBECONFIG)",
    go_mod: include_str!("../go.mod"),
    go_sum: include_str!("../go.sum"),
    linker_flags: LINKER_FLAGS,
    programs: &[
        Program { name: KUBE_APISERVER, package: "k8s.io/kubernetes/cmd/kube-apiserver", built_as: KUBE_APISERVER },
        Program { name: ETCD, package: "go.etcd.io/etcd/server/v3", built_as: "server" },
    ],
};

/// The two programs. Both existed when they were searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    pub(crate) kube_apiserver: PathBuf,
    pub(crate) etcd: PathBuf,
}

impl Binaries {
    /// Whether nothing has to be built.
    pub(crate) fn are_built() -> Result<bool, Error> {
        Ok(matches!(CONTROL_PLANE.place()?, Place::Filled(_)))
    }

    /// Finds the binaries, or builds them. A build takes minutes, and shows progress on standard error.
    pub(crate) async fn find() -> Result<Self, Error> {
        let folder = CONTROL_PLANE.folder().await?;
        Ok(Self { kube_apiserver: folder.join(KUBE_APISERVER), etcd: folder.join(ETCD) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_module_file_the_linker_flags_and_the_constant_name_one_kubernetes_release() {
        let Recipe { go_mod, release, .. } = &CONTROL_PLANE;
        let (_, minor_and_patch) = KUBERNETES_VERSION.split_once('.').unwrap();
        let (minor, _) = minor_and_patch.split_once('.').unwrap();
        let required: Vec<&str> = go_mod.lines().filter(|line| line.contains("k8s.io/kubernetes v")).collect();
        assert_eq!(required.len(), 1);
        assert!(required[0].contains(&format!("k8s.io/kubernetes {KUBERNETES_VERSION}")), "{required:?}");
        for replaced in go_mod.lines().filter(|line| line.contains("=>") && !line.starts_with("//")) {
            assert!(replaced.ends_with(&format!(" v0.{minor_and_patch}")), "{replaced}");
        }
        assert!(LINKER_FLAGS.contains(&format!("gitVersion={KUBERNETES_VERSION} ")));
        assert!(LINKER_FLAGS.ends_with(&format!("gitMinor={minor}")));
        assert!(release.ends_with(KUBERNETES_VERSION));
    }

    #[test]
    fn without_go_the_error_lists_the_other_choices() {
        let shown = CONTROL_PLANE.none("there is no `go` in PATH").to_string();
        for choice in ["KUBEBUILDER_ASSETS", "install Go", "--kubeconfig", "KUBECONFIG"] {
            assert!(shown.contains(choice), "{shown}");
        }
    }
}
