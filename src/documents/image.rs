//! The image: the content of its last stage, and its agreement with the files that install it.

use super::{read, root};
use serde_json::Value;
use std::path::Path;

const DOCKERFILE: &str = "Dockerfile";

/// The instructions of the Dockerfile, each in one line.
fn instructions() -> Vec<String> {
    let text = read(DOCKERFILE).replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The instructions of the last stage, which becomes the image.
fn last_stage() -> Vec<String> {
    let all = instructions();
    let start = all.iter().rposition(|line| line.starts_with("FROM ")).unwrap();
    all[start..].to_vec()
}

fn operand<'i>(instructions: &'i [String], name: &str) -> &'i str {
    let mut found = instructions.iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let operand = found.next().unwrap_or_else(|| panic!("{DOCKERFILE} lacks {name}"));
    assert_eq!(found.next(), None, "{name} must occur once");
    operand
}

#[test]
fn the_image_contains_only_the_binary_its_licence_and_certificates() {
    let stage = last_stage();
    assert_eq!(stage[0], "FROM scratch");
    let copied: Vec<&str> = stage.iter().filter_map(|line| line.strip_prefix("COPY ")?.rsplit(' ').next()).collect();
    assert_eq!(copied, ["/etc/ssl/certs/ca-certificates.crt", "/LICENSE", "/cognigy-operator"]);
    assert!(!stage.iter().any(|line| line.starts_with("RUN ") || line.starts_with("ADD ")), "{stage:?}");
}

#[test]
fn the_image_agrees_with_the_deployment() {
    let stage = last_stage();
    let deployment: Value = serde_saphyr::from_str(&read("deploy/base/deployment.yaml")).unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let user = format!("{}:{}", pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]);
    assert_eq!(operand(&stage, "USER"), user);
    let container = &pod["containers"][0];
    assert_eq!(operand(&stage, "EXPOSE"), container["ports"][0]["containerPort"].to_string());
    assert_eq!(operand(&stage, "ENTRYPOINT"), r#"["/cognigy-operator"]"#);
    assert_eq!(operand(&stage, "CMD"), r#"["run"]"#);
    assert_eq!(container["args"][0], "run", "the Deployment's arguments replace CMD");
}

#[test]
fn the_image_is_built_from_this_version_with_this_compiler() {
    let all = instructions();
    let version = env!("CARGO_PKG_VERSION");
    assert!(all.contains(&format!("ARG VERSION={version}")), "{all:?}");
    let rust = env!("CARGO_PKG_RUST_VERSION");
    assert!(all.contains(&format!("ARG RUST_VERSION={rust}")), "{all:?}");
}

#[test]
fn all_release_builds_have_the_same_features() {
    let operator = "cargo build --release --locked --features otlp --bin cognigy-operator";
    let plugin = "cargo build --release --locked --package kubectl-cognigy";
    for (file, text) in [
        (DOCKERFILE, operator),
        (DOCKERFILE, plugin),
        (".github/workflows/release.yaml", operator),
        (".github/workflows/release.yaml", plugin),
        ("dev/sbom", "cargo cyclonedx --manifest-path \"$copy/Cargo.toml\" --quiet \\\n        --features otlp "),
        ("dev/sbom", "[ \"$1\" != cognigy-operator ] || echo --features otlp\n"),
    ] {
        let found = read(file);
        assert_eq!(found.matches(text).count(), 1, "{file} lacks {text}");
        let builds = found.matches(operator).count() + found.matches(plugin).count();
        assert_eq!(found.matches("cargo build").count(), builds, "{file} has another build");
    }
}

#[test]
fn every_file_that_cargo_requires_reaches_the_build() {
    let ignored = read(".dockerignore");
    let lines: Vec<&str> = ignored.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(lines[0], "*", "everything is excluded by default");
    let kept: Vec<&str> = lines[1..].iter().map(|line| line.strip_prefix('!').unwrap()).collect();
    let is_kept = |path: &str| kept.iter().any(|pattern| covers(pattern, path));

    let mut wanted: Vec<String> =
        ["Cargo.toml", "Cargo.lock", "LICENSE", "src/main.rs", "src/lib.rs"].map(str::to_owned).to_vec();
    let manifest = read("Cargo.toml");
    let members = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    let members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    assert!(!members.is_empty());
    for member in &members {
        wanted.push(format!("{member}/Cargo.toml"));
        let target = ["src/lib.rs", "src/main.rs"].map(|file| format!("{member}/{file}"));
        wanted.extend(target.into_iter().filter(|file| root().join(file).is_file()));
    }
    for bench in manifest.split("[[bench]]\nname = \"").skip(1) {
        let name = bench.split('"').next().unwrap();
        let files = [format!("benches/{name}.rs"), format!("benches/{name}/main.rs")];
        wanted.extend(files.into_iter().filter(|file| root().join(file).is_file()));
    }
    // The test binaries that a manifest names: cargo requires their files in every build.
    for folder in [""].into_iter().chain(members) {
        let path = |file: &str| Path::new(folder).join(file).to_str().unwrap().to_owned();
        for test in read(&path("Cargo.toml")).split("[[test]]\nname = \"").skip(1) {
            let name = test.split('"').next().unwrap();
            let files = [path(&format!("tests/{name}.rs")), path(&format!("tests/{name}/main.rs"))];
            wanted.extend(files.into_iter().filter(|file| root().join(file).is_file()));
        }
    }
    let included = files_that_sources_include();
    assert!(included.contains(&"docs/conditions.md".to_owned()), "{included:?}");
    wanted.extend(included);
    for file in wanted {
        assert!(root().join(&file).is_file(), "{file} does not exist");
        assert!(is_kept(&file), "{file} is excluded from the build");
    }
    assert!(!is_kept("target/debug/cognigy-operator") && !is_kept(".git/config"));
}

/// The files that the sources outside tests include in a binary.
fn files_that_sources_include() -> Vec<String> {
    let mut folders = vec![root().join("src"), root().join("crates")];
    let mut included = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let is_test = path.file_stem().is_some_and(|name| name == "tests");
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if !is_test && path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                // The name is in two parts, because this file is one of the sources.
                for rest in source.split(concat!("include_", "str!(\"")).skip(1) {
                    let file = path.parent().unwrap().join(rest.split('"').next().unwrap());
                    let file = file.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                    included.push(file.strip_prefix(root().canonicalize().unwrap()).unwrap().display().to_string());
                }
            }
        }
    }
    included
}

/// Whether a pattern matches a path or one of its parent folders. A star matches one name.
fn covers(pattern: &str, path: &str) -> bool {
    let mut names = Path::new(path).iter();
    Path::new(pattern).iter().all(|wanted| names.next().is_some_and(|name| wanted == "*" || wanted == name))
}
