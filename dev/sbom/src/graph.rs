//! What is linked into the operator: cargo's own resolution, without what only tests need.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package that is shipped.
const ROOT: &str = "cognigy-operator";

/// Why there is no bill. All of them mean that cargo's answer cannot be had or understood.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program or a file cannot be used.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Cargo refused, in its own words.
    #[error("cargo metadata: {0}")]
    Cargo(String),
    /// Cargo's answer is not what it is documented to be.
    #[error("cargo metadata answered something else: {0}")]
    Answer(#[from] serde_json::Error),
    /// The workspace does not hold the package.
    #[error("there is no package {ROOT}")]
    NoRoot,
}

/// A package, as cargo describes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Package {
    /// Cargo's name for exactly this one.
    pub id: String,
    /// Its name in its registry.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, as an SPDX expression where it says so.
    pub license: Option<String>,
    /// The registry that it is from; nothing for the workspace's own.
    pub source: Option<String>,
}

/// Packages and which needs which.
#[derive(Debug)]
pub struct Graph {
    /// The package that is shipped.
    pub root: Package,
    /// All others that are linked into it, or run while it is compiled.
    pub packages: Vec<Package>,
    /// By package, those that it needs itself.
    pub needs: BTreeMap<String, BTreeSet<String>>,
    /// SHA-256 of what was downloaded, in hexadecimal digits, by name and version.
    pub checksums: BTreeMap<(String, String), String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Need>,
}

#[derive(Deserialize)]
struct Need {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

impl Graph {
    /// Asks cargo, with the versions of the lock file.
    ///
    /// # Errors
    /// [`Error`], where cargo cannot be asked, or answers something else.
    pub fn read(target: &str) -> Result<Self, Error> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version=1", "--locked", "--filter-platform", target])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .map_err(|source| Error::System { action: "run cargo", source })?;
        if !output.status.success() {
            return Err(Error::Cargo(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
        let checksums = checksums(&metadata.workspace_root)?;
        Self::of(metadata, checksums)
    }

    fn of(metadata: Metadata, checksums: BTreeMap<(String, String), String>) -> Result<Self, Error> {
        let is_root = |package: &&Package| package.name == ROOT && package.source.is_none();
        let root = metadata.packages.iter().find(is_root).ok_or(Error::NoRoot)?.clone();
        let is_shipped = |need: &&Need| need.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev"));
        let mut all: BTreeMap<String, BTreeSet<String>> = metadata
            .resolve
            .nodes
            .into_iter()
            .map(|node| (node.id, node.deps.iter().filter(is_shipped).map(|need| need.pkg.clone()).collect()))
            .collect();
        let mut needs = BTreeMap::new();
        let mut open = vec![root.id.clone()];
        while let Some(id) = open.pop() {
            let Some(of_this) = all.remove(&id) else { continue };
            open.extend(of_this.iter().cloned());
            needs.insert(id, of_this);
        }
        let is_linked = |package: &Package| package.id != root.id && needs.contains_key(&package.id);
        let mut packages: Vec<Package> = metadata.packages.into_iter().filter(is_linked).collect();
        packages.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
        Ok(Self { root, packages, needs, checksums })
    }
}

/// The checksums in the lock file, which cargo's answer leaves out.
fn checksums(workspace: &Path) -> Result<BTreeMap<(String, String), String>, Error> {
    let text = std::fs::read_to_string(workspace.join("Cargo.lock"))
        .map_err(|source| Error::System { action: "read Cargo.lock", source })?;
    let packages = text.split("[[package]]").filter_map(|package| {
        let field = |name: &str| {
            let opening = format!("{name} = \"");
            package.lines().find_map(|line| line.strip_prefix(&opening)?.strip_suffix('"')).map(str::to_owned)
        };
        Some(((field("name")?, field("version")?), field("checksum")?))
    });
    Ok(packages.collect())
}
