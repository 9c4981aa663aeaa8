//! Argo CD's health script, run in Argo CD's Lua engine (gopher-lua) with the same libraries as in Argo CD.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

/// The folder of the script, in the layout of Argo CD's own repository.
pub const FOLDER: &str = "deploy/gitops/argo-cd/resource_customizations/deploy.cognigy.ai/CognigyDeployment";

/// Runs the script on each object, and prints what it returned as one JSON object a line.
const DRIVER: &str = include_str!("argo_cd.lua");

/// The health of an object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Health {
    pub status: String,
    #[serde(default)]
    pub message: String,
}

/// Runs the script on each of these objects.
pub fn assess(objects: &[&Value]) -> Vec<Health> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file can be written");
        path
    };
    // Each object gets its own function, because a function has a maximum number of constants.
    let objects_in_lua: String =
        objects.iter().map(|object| format!("function() return {} end,\n", literal(object))).collect();
    let output = Command::new("go")
        .current_dir(root().join("dev/tools/lua"))
        .args(["tool", "glua"])
        .arg(file("driver.lua", DRIVER))
        .arg(root().join(FOLDER).join("health.lua"))
        .arg(file("objects.lua", &format!("return {{\n{objects_in_lua}}}\n")))
        .output()
        .expect("Go 1.26 or newer is on the PATH");
    let [said, errors] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    assert!(output.status.success(), "{errors}{said}");
    let healths: Vec<Health> =
        said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    assert_eq!(healths.len(), objects.len(), "{said}");
    healths
}

/// A value as Lua writes it.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("{{{}}}", items.iter().map(literal).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("[{}]={}", quoted(name), literal(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
    }
}

fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|letter| match letter {
        '"' | '\\' => format!("\\{letter}"),
        letter if letter.is_ascii_control() => format!("\\{:03}", u32::from(letter)),
        letter => letter.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// The folder of the project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
