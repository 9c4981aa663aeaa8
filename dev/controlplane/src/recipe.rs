//! Go programs that are built from released sources, and the cache for the binaries.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::{compile, error::Error};

/// One of the programs of a recipe.
#[derive(Debug)]
pub(crate) struct Program {
    /// Its name in a folder of binaries.
    pub(crate) name: &'static str,
    /// Its import path.
    pub(crate) package: &'static str,
    /// Go's name for it: the last element of its path that is not a version.
    pub(crate) built_as: &'static str,
}

/// The complete description of a build: together with the checksums, these bytes determine every input. They are part
/// of this crate's own binary, so a build needs no source folder.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// The name of all programs together, as in "building helm and kubeconform".
    pub(crate) wanted: &'static str,
    /// The name and version in progress messages.
    pub(crate) release: &'static str,
    /// The version at the beginning of the folder's name.
    pub(crate) version: &'static str,
    /// The folder in the cache that contains all versions.
    pub(crate) cache: &'static str,
    /// The environment variable that names a folder of binaries to use without a build.
    pub(crate) variable: &'static str,
    /// Another choice for a user without Go, as the end of a sentence; empty if there is none.
    pub(crate) otherwise: &'static str,
    pub(crate) go_mod: &'static str,
    pub(crate) go_sum: &'static str,
    pub(crate) linker_flags: &'static str,
    pub(crate) programs: &'static [Program],
}

/// A folder for the programs of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// It contains all programs.
    Filled(PathBuf),
    /// The programs must be built into it.
    ToBuild(PathBuf),
}

impl Recipe {
    /// A folder that contains all programs, each under its name: the folder in the variable, or otherwise the folder in
    /// the cache. The programs are built into the cache first if they are missing. A build takes minutes, and shows
    /// progress on standard error.
    pub(crate) async fn folder(&'static self) -> Result<PathBuf, Error> {
        match self.place()? {
            Place::Filled(folder) => Ok(folder),
            Place::ToBuild(folder) => self.build_apart(folder).await,
        }
    }

    /// The folder in which the programs are, or would be built.
    pub(crate) fn place(&self) -> Result<Place, Error> {
        if let Some(folder) = env::var_os(self.variable).filter(|folder| !folder.is_empty()) {
            return self.assets(PathBuf::from(folder)).map(Place::Filled);
        }
        let folder = self
            .cache_folder(env::var_os("XDG_CACHE_HOME"), env::home_dir())
            .ok_or_else(|| self.none("there is no home folder to keep them in"))?;
        match self.missing_in(&folder) {
            None => Ok(Place::Filled(folder)),
            Some(_) => Ok(Place::ToBuild(folder)),
        }
    }

    /// The first program that is missing in a folder.
    pub(crate) fn missing_in(&self, folder: &Path) -> Option<&'static str> {
        self.programs.iter().map(|program| program.name).find(|name| !folder.join(name).is_file())
    }

    /// If the user's choice cannot be used, this is an error; it is never ignored silently.
    fn assets(&self, folder: PathBuf) -> Result<PathBuf, Error> {
        match self.missing_in(&folder) {
            None => Ok(folder),
            Some(missing) => Err(Error::Assets { variable: self.variable, folder, missing }),
        }
    }

    /// Builds on a separate thread. A runtime waits for its blocking tasks when it ends, but it does not wait for this
    /// thread, so Ctrl-C ends a build at once.
    async fn build_apart(&'static self, folder: PathBuf) -> Result<PathBuf, Error> {
        let (sender, receiver) = oneshot::channel();
        let thread = std::thread::Builder::new().name("go-build".to_owned());
        thread
            .spawn(move || {
                // If the caller gave up, nobody receives the result; the cache is filled anyway.
                let _ = sender.send(compile::compile_into(self, &folder).map(|()| folder));
            })
            .map_err(|source| Error::System { action: "start a thread for the build".to_owned(), source })?;
        receiver.await.unwrap_or_else(|_| Err(self.none("the build ended without a result")))
    }

    /// The folder for exactly these binaries. Another version, or the same version with another build, has another
    /// folder.
    fn cache_folder(&self, xdg_cache_home: Option<OsString>, home: Option<PathBuf>) -> Option<PathBuf> {
        let caches = xdg_cache_home
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| home.filter(|path| path.is_absolute()).map(|home| home.join(".cache")))?;
        Some(caches.join("cognigy-operator").join(self.cache).join(self.cache_key()))
    }

    fn cache_key(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.go_mod, self.go_sum, self.linker_flags] {
            hash.update(part);
            hash.update([0]);
        }
        let digest = hex::encode(hash.finalize());
        format!("{}-{}-{}-{}", self.version, env::consts::OS, env::consts::ARCH, &digest[..16])
    }

    /// The error that lists the user's choices.
    pub(crate) fn none(&self, reason: &str) -> Error {
        let Self { wanted, variable, otherwise, .. } = *self;
        Error::NoBinaries { wanted, variable, otherwise, reason: reason.to_owned() }
    }
}

/// A recipe for tests. Its two programs have the given names.
#[cfg(test)]
pub(crate) const EXAMPLE: Recipe = Recipe {
    wanted: "one and two",
    release: "Example v1",
    version: "v1",
    cache: "example",
    variable: "EXAMPLE_ASSETS",
    otherwise: "",
    go_mod: "",
    go_sum: "",
    linker_flags: "",
    programs: &[
        Program { name: "one", package: "example.org/one", built_as: "one" },
        Program { name: "two", package: "example.org/server/v3", built_as: "server" },
    ],
};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_cache_is_in_xdg_cache_home_or_otherwise_in_the_home_folder() {
        let home = Some(PathBuf::from("/home/someone"));
        let named = EXAMPLE.cache_folder(Some("/caches".into()), home.clone()).unwrap();
        assert!(named.starts_with("/caches/cognigy-operator/example"), "{}", named.display());
        for unusable in [None, Some("".into()), Some("relative".into())] {
            let at_home = EXAMPLE.cache_folder(unusable, home.clone()).unwrap();
            assert!(at_home.starts_with("/home/someone/.cache/cognigy-operator"), "{}", at_home.display());
        }
        assert_eq!(EXAMPLE.cache_folder(None, None), None);
    }

    #[test]
    fn binaries_of_another_build_have_another_folder() {
        let key = EXAMPLE.cache_key();
        assert!(key.starts_with("v1-"), "{key}");
        for other in [
            Recipe { go_mod: "module other", ..EXAMPLE },
            Recipe { go_sum: "other", ..EXAMPLE },
            Recipe { linker_flags: "-s", ..EXAMPLE },
        ] {
            assert_ne!(other.cache_key(), key);
        }
    }

    #[test]
    fn a_folder_is_used_only_if_it_has_all_programs_and_the_error_names_the_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("one"), "").unwrap();
        assert_eq!(EXAMPLE.missing_in(folder.path()), Some("two"));
        let error = EXAMPLE.assets(folder.path().to_owned()).unwrap_err().to_string();
        assert!(error.contains("EXAMPLE_ASSETS") && error.contains("no file two"), "{error}");

        fs::write(folder.path().join("two"), "").unwrap();
        assert_eq!(EXAMPLE.assets(folder.path().to_owned()).unwrap(), folder.path());
    }
}
