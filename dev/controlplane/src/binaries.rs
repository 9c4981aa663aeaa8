//! Where kube-apiserver and etcd come from.
//!
//! The order: the folder that `KUBEBUILDER_ASSETS` names (the convention of Kubernetes' own test environments), the
//! cache, a build into the cache.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::{compile, error::Error};

/// The Kubernetes release that is built. `go.mod` has the same; a test keeps the two together.
pub(crate) const KUBERNETES_VERSION: &str = "v1.37.2";

/// The names of the two files in a folder of binaries.
pub(crate) const KUBE_APISERVER: &str = "kube-apiserver";
pub(crate) const ETCD: &str = "etcd";

/// What is built, in full: with the sums, these bytes leave no choice open. They are part of this crate's own binary,
/// so that a build needs no source folder.
pub(crate) const GO_MOD: &str = include_str!("../go.mod");
pub(crate) const GO_SUM: &str = include_str!("../go.sum");

/// Without symbols, and with the version that clients ask for (kubectl can't parse the placeholder it would have).
pub(crate) const LINKER_FLAGS: &str = "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.37.2 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=37";

/// The two programs, both there when they were looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    pub(crate) kube_apiserver: PathBuf,
    pub(crate) etcd: PathBuf,
}

impl Binaries {
    /// Finds the binaries, or builds them: minutes, with progress on standard error.
    pub(crate) async fn find() -> Result<Self, Error> {
        if let Some(folder) = env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()) {
            return Self::in_assets(PathBuf::from(folder));
        }
        let folder = cache_folder(env::var_os("XDG_CACHE_HOME"), env::home_dir())
            .ok_or_else(|| Error::NoBinaries { reason: "there is no home folder to keep them in".to_owned() })?;
        if let Ok(binaries) = Self::in_folder(&folder) {
            return Ok(binaries);
        }
        build_apart(folder).await
    }

    /// The binaries in a folder, or the name of the first that is not there.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self, &'static str> {
        let file = |name: &'static str| Some(folder.join(name)).filter(|path| path.is_file()).ok_or(name);
        Ok(Self { kube_apiserver: file(KUBE_APISERVER)?, etcd: file(ETCD)? })
    }

    /// An explicit choice is never passed over in silence.
    fn in_assets(folder: PathBuf) -> Result<Self, Error> {
        Self::in_folder(&folder).map_err(|missing| Error::Assets { folder, missing })
    }
}

/// Builds on a thread of its own. A runtime waits for its blocking tasks when it ends; for this thread nobody waits,
/// so that Ctrl-C ends a build at once.
async fn build_apart(folder: PathBuf) -> Result<Binaries, Error> {
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("control-plane-build".to_owned());
    thread
        .spawn(move || {
            // Nobody listens where the caller gave up; the cache is filled all the same.
            let _ = sender.send(compile::compile_into(&folder));
        })
        .map_err(|source| Error::System { action: "start a thread for the build".to_owned(), source })?;
    receiver.await.unwrap_or_else(|_| Err(Error::NoBinaries { reason: "the build ended without a result".to_owned() }))
}

/// The folder for exactly these binaries: another version, or the same one built in another way, has another.
fn cache_folder(xdg_cache_home: Option<OsString>, home: Option<PathBuf>) -> Option<PathBuf> {
    let caches = xdg_cache_home
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| home.filter(|path| path.is_absolute()).map(|home| home.join(".cache")))?;
    Some(caches.join("cognigy-operator").join("control-plane").join(cache_key()))
}

fn cache_key() -> String {
    let mut hash = Sha256::new();
    for part in [GO_MOD, GO_SUM, LINKER_FLAGS] {
        hash.update(part);
        hash.update([0]);
    }
    let digest = hex::encode(hash.finalize());
    format!("{KUBERNETES_VERSION}-{}-{}-{}", env::consts::OS, env::consts::ARCH, &digest[..16])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_module_file_the_linker_flags_and_the_constant_name_one_kubernetes_release() {
        let (_, minor_and_patch) = KUBERNETES_VERSION.split_once('.').unwrap();
        let (minor, _) = minor_and_patch.split_once('.').unwrap();
        let required: Vec<&str> = GO_MOD.lines().filter(|line| line.contains("k8s.io/kubernetes v")).collect();
        assert_eq!(required.len(), 1);
        assert!(required[0].contains(&format!("k8s.io/kubernetes {KUBERNETES_VERSION}")), "{required:?}");
        for replaced in GO_MOD.lines().filter(|line| line.contains("=>") && !line.starts_with("//")) {
            assert!(replaced.ends_with(&format!(" v0.{minor_and_patch}")), "{replaced}");
        }
        assert!(LINKER_FLAGS.contains(&format!("gitVersion={KUBERNETES_VERSION} ")));
        assert!(LINKER_FLAGS.ends_with(&format!("gitMinor={minor}")));
    }

    #[test]
    fn the_cache_is_in_the_named_folder_else_in_the_home_folder() {
        let home = Some(PathBuf::from("/home/someone"));
        let named = cache_folder(Some("/caches".into()), home.clone()).unwrap();
        assert!(named.starts_with("/caches/cognigy-operator/control-plane"), "{}", named.display());
        for unusable in [None, Some("".into()), Some("relative".into())] {
            let at_home = cache_folder(unusable, home.clone()).unwrap();
            assert!(at_home.starts_with("/home/someone/.cache/cognigy-operator"), "{}", at_home.display());
        }
        assert_eq!(cache_folder(None, None), None);
    }

    #[test]
    fn a_folder_serves_only_with_both_binaries_and_the_error_names_the_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(KUBE_APISERVER), "").unwrap();
        assert_eq!(Binaries::in_folder(folder.path()), Err(ETCD));
        let error = Binaries::in_assets(folder.path().to_owned()).unwrap_err().to_string();
        assert!(error.contains("KUBEBUILDER_ASSETS") && error.contains("no file etcd"), "{error}");

        fs::write(folder.path().join(ETCD), "").unwrap();
        let binaries = Binaries::in_folder(folder.path()).unwrap();
        assert_eq!(binaries.etcd, folder.path().join("etcd"));
    }
}
