//! The commands in the documentation.

/// The programs whose commands are searched for in the text between code blocks.
const PROGRAMS: [&str; 20] = [
    "argocd",
    "cargo",
    "cognigy-operator",
    "cosign",
    "curl",
    "dev/mutants/run",
    "dev/release/check",
    "dev/release/notes",
    "dev/release/pack",
    "dev/sbom",
    "docker",
    "flux",
    "gh",
    "git",
    "go",
    "helm",
    "kind",
    "kubectl",
    "promtool",
    "sha256sum",
];

/// Blocks with commands of a pipeline. They are tested with a stand-in for kubectl (src/documents/pipelines.rs), and the commands
/// of the plugin by the plugin itself (crates/kubectl-cognigy/src/pages.rs).
const TESTED_ELSEWHERE: [&str; 2] = ["sh pipeline", "yaml pipeline"];

/// Text between backticks with at least this many words is a command. Shorter text only mentions a program.
const WORDS_OF_A_COMMAND: usize = 3;

/// The info strings of code blocks without commands. Figures have no info string.
const OTHER_BLOCKS: [&str; 8] =
    ["", "diff", "mermaid", "rust", "yaml", "yaml environment", "yaml fault", "yaml scenario"];

/// The commands of a page, in order: the lines of console blocks that begin with `$`, and commands between backticks. A
/// command elsewhere is an error, because it would not be tested.
pub(crate) fn commands_of(page: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, part) in text.split("```").enumerate() {
        let is_prose = number % 2 == 0;
        match part.split_once('\n') {
            _ if is_prose => found.extend(between_backticks(part)),
            Some(("console", block)) => found.extend(of_console(page, block)),
            Some((kind, _)) if TESTED_ELSEWHERE.contains(&kind) => {}
            Some((kind, block)) => {
                assert!(OTHER_BLOCKS.contains(&kind), "{page}: write commands in a block marked console, not {kind}");
                let astray = block.lines().find(|line| is_command(line.trim_start().trim_start_matches("$ ")));
                assert_eq!(astray, None, "{page}: no test runs this command, because its block is not marked console");
            }
            None => {}
        }
    }
    found
}

/// The lines of a block that begin with `$`, each with its continuation lines.
fn of_console(page: &str, block: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = block.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix("$ ") else {
            assert!(!is_command(line), "{page}: a command begins with `$`: {line}");
            continue;
        };
        let mut command = command.to_owned();
        while let Some(begun) = command.strip_suffix('\\') {
            command = format!("{begun}{}", lines.next().unwrap_or_default());
        }
        found.push(command);
    }
    found
}

/// The commands between single backticks.
fn between_backticks(prose: &str) -> impl Iterator<Item = String> {
    let spans = prose.split('`').skip(1).step_by(2);
    let spans = spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "));
    spans.filter(|span| is_command(span))
}

fn is_command(text: &str) -> bool {
    let words: Vec<&str> = without_variables(text).split_whitespace().collect();
    words.len() >= WORDS_OF_A_COMMAND && PROGRAMS.contains(&words[0])
}

/// A command without the variables that are set before it.
pub(crate) fn without_variables(command: &str) -> &str {
    variable(command).map_or(command, |(_, rest)| without_variables(rest))
}

/// The names of the variables that are set before a command.
pub(crate) fn variables(command: &str) -> Vec<&str> {
    let Some((name, rest)) = variable(command) else { return Vec::new() };
    [name].into_iter().chain(variables(rest)).collect()
}

/// The first variable that is set before a command, and the rest of the command.
fn variable(command: &str) -> Option<(&str, &str)> {
    let (name, rest) = command.split_once('=')?;
    let is_upper_case = |letter: char| letter.is_ascii_uppercase() || letter == '_';
    if name.is_empty() || !name.chars().all(is_upper_case) {
        return None;
    }
    let (_, rest) = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split_once("\" ")?,
        None => rest.split_once(' ')?,
    };
    Some((name, rest.trim_start()))
}

#[test]
fn variables_before_a_command_are_not_its_program() {
    let command = "ONE=1 TWO=\"a b\" cargo test --lib";
    assert_eq!((without_variables(command), variables(command)), ("cargo test --lib", vec!["ONE", "TWO"]));
    assert_eq!(without_variables("kubectl get -l a=b"), "kubectl get -l a=b");
}

#[test]
fn commands_are_found_after_a_dollar_sign_and_between_backticks() {
    let page = "\
Run `kubectl get` or `SET=1 cargo test --lib`:

   ```console
   $ kubectl get pods   # a remark
   NAME   READY
   $ helm install \\
       name
   ```
";
    assert_eq!(
        commands_of("a page", page),
        ["SET=1 cargo test --lib", "kubectl get pods   # a remark", "helm install name"]
    );
}

#[test]
#[should_panic(expected = "a command begins with `$`")]
fn a_command_without_a_dollar_sign_is_an_error() {
    commands_of("a page", "```console\nkubectl get pods\n```");
}

#[test]
#[should_panic(expected = "not marked console")]
fn a_command_in_another_block_is_an_error() {
    commands_of("a page", "```\nkubectl get pods\n```");
}
