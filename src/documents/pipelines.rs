//! The shell parts of the pages about pipelines: each is valid, stops if the resource cannot be applied, and ends with the
//! exit code of the wait. A stand-in takes the place of `kubectl`.

use super::{all, read};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// A shell script in a page.
struct Script {
    /// The page, and the kind of the block.
    place: String,
    /// How the pipeline's system runs it.
    shell: Vec<&'static str>,
    text: String,
}

/// The stand-in: `apply`, and `cognigy wait` and `cognigy apply`, end with the codes in the environment. `wait` and `get` play a resource whose
/// condition Ready has the status in the environment.
const KUBECTL: &str = r#"#!/bin/sh
echo "kubectl $*" >> "$CALLS"
case "$*" in
    *cognigy*wait*|*cognigy*apply*) exit "$WAIT_CODE" ;;
    *apply*) exit "$APPLY_CODE" ;;
    *wait*Ready="$READY"*) ;;
    *wait*) exit 1 ;;
    *get*) echo "$READY" ;;
esac
"#;

#[test]
fn every_script_can_be_read_by_its_shell() {
    let scripts = scripts();
    for system in ["GitHub", "GitLab", "Azure", "Tekton"] {
        let page = read("docs/pipelines.md");
        assert!(page.contains(&format!("### {system}")), "there is an example for {system}");
    }
    assert!(scripts.len() >= 6, "only {} scripts were found", scripts.len());
    for script in scripts {
        let output = Command::new(script.shell[0]).args(["-n", "-c", &script.text]).output().unwrap();
        assert!(
            output.status.success(),
            "{}: {}\n{}",
            script.place,
            String::from_utf8_lossy(&output.stderr),
            script.text
        );
    }
}

#[test]
fn every_script_ends_with_the_exit_code_of_the_wait() {
    for script in scripts().iter().filter(|script| script.text.contains("kubectl cognigy")) {
        for code in 0..=5 {
            let (output, _) = run(script, &[("WAIT_CODE", &code.to_string()), ("APPLY_CODE", "0")]);
            assert_eq!(output.status.code(), Some(code), "{}: {output:?}\n{}", script.place, script.text);
        }
    }
}

#[test]
fn no_script_waits_if_the_resource_could_not_be_applied() {
    // `kubectl cognigy apply` does both, and tests of the plugin show that it waits for nothing that it could not apply.
    for script in scripts().into_iter().filter(|script| !script.text.contains("kubectl cognigy apply")) {
        let (output, calls) = run(&script, &[("WAIT_CODE", "0"), ("APPLY_CODE", "7"), ("READY", "True")]);
        assert_eq!(output.status.code(), Some(7), "{}: {output:?}\n{}", script.place, script.text);
        assert!(calls.contains("apply") && !calls.contains("wait"), "{}: {calls}", script.place);
    }
}

#[test]
fn the_script_without_the_plugin_ends_with_the_status_of_ready_or_after_its_time() {
    let scripts = scripts();
    let without: Vec<&Script> = scripts.iter().filter(|script| !script.text.contains("kubectl cognigy")).collect();
    let [script] = without[..] else { panic!("one script does without the plugin, not {}", without.len()) };
    for (ready, code) in [("True", 0), ("False", 1)] {
        let (output, _) = run(script, &[("APPLY_CODE", "0"), ("READY", ready)]);
        assert_eq!(output.status.code(), Some(code), "{ready}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains(ready), "it says why: {output:?}");
    }
    let time = "40 * 60";
    assert!(script.text.contains(time), "its time-out is {time} seconds");
    let script = Script { text: script.text.replace(time, "0"), shell: script.shell.clone(), place: String::new() };
    let (output, _) = run(&script, &[("APPLY_CODE", "0"), ("READY", "Unknown")]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}

/// Runs a script with the stand-in. Returns how it ended, and the calls of the stand-in.
fn run(script: &Script, variables: &[(&str, &str)]) -> (Output, String) {
    let folder = tempfile::tempdir().unwrap();
    let kubectl = folder.path().join("kubectl");
    std::fs::write(&kubectl, KUBECTL).unwrap();
    make_executable(&kubectl);
    let calls = folder.path().join("calls");
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(script.shell[0]);
    command.args(&script.shell[1..]).args(["-c", &script.text]).current_dir(folder.path()).env("PATH", path);
    command
        .env("CALLS", &calls)
        .env("RUNNER_TEMP", folder.path())
        .env("KUBECONFIG_TEXT", "")
        .env("KUBE_CONTEXT", "a:b");
    command
        .env("MANIFEST", "a.yaml")
        .env("RESOURCE", "a")
        .env("NAMESPACE", "b")
        .env("RESULT", folder.path().join("result"));
    let output = command.envs(variables.iter().copied()).output().unwrap();
    (output, std::fs::read_to_string(calls).unwrap_or_default())
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The scripts in all pages: the blocks marked `sh pipeline`, and the shell parts of those marked `yaml pipeline`.
fn scripts() -> Vec<Script> {
    let mut found = Vec::new();
    for page in all() {
        for block in read(&page).split("```").skip(1).step_by(2) {
            match block.split_once('\n') {
                Some(("sh pipeline", text)) => {
                    found.push(script(&page, &["sh"], text));
                }
                Some(("yaml pipeline", text)) => {
                    let pipeline: Value =
                        serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{page}: {error}\n{text}"));
                    let before = found.len();
                    gather(&pipeline, &page, &mut found);
                    assert!(found.len() > before, "{page}: a pipeline without a shell part:\n{text}");
                }
                _ => {}
            }
        }
    }
    found
}

/// `run` of GitHub Actions, `script` of GitLab CI (a list) and of Tekton (a text), and `bash` of Azure Pipelines.
fn gather(value: &Value, page: &str, found: &mut Vec<Script>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("run", Value::String(text)) => found.push(script(page, &["sh", "-e"], text)),
                    ("bash", Value::String(text)) => found.push(script(page, &["bash"], text)),
                    ("script", Value::String(text)) => found.push(script(page, &["sh"], text)),
                    ("script", Value::Array(lines)) => {
                        let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
                        found.push(script(page, &["sh", "-e"], &lines.join("\n")));
                    }
                    (_, value) => gather(value, page, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| gather(value, page, found)),
        _ => {}
    }
}

fn script(page: &str, shell: &[&'static str], text: &str) -> Script {
    Script { place: format!("{page}, {}", shell.join(" ")), shell: shell.to_vec(), text: text.to_owned() }
}
