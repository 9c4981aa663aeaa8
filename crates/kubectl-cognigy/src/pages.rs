//! Every command line of the plugin in the pages is one that the plugin understands.

#![allow(clippy::unwrap_used)]

use crate::arguments::Arguments;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use std::path::{Path, PathBuf};

/// What ends a command in a line of a shell.
const ENDS: [&str; 8] = ["|", "||", "&&", ";", ">", "2>", "&", "#"];

/// A command with nothing behind it, such as `kubectl cognigy retry`, may be a mention, which has no arguments.
const WORDS_OF_A_MENTION: usize = 3;

#[test]
fn every_command_line_in_the_pages_is_understood() {
    let mut lines = 0;
    for page in pages() {
        for line in command_lines(&std::fs::read_to_string(&page).unwrap()) {
            let words = words(&line).unwrap_or_else(|| panic!("{}: a quote is not closed: {line}", page.display()));
            // The program's name takes the place of `kubectl cognigy`.
            let words = std::iter::once("kubectl-cognigy".to_owned()).chain(words.into_iter().skip(2));
            let is_mention = line.split(' ').count() == WORDS_OF_A_MENTION;
            match Arguments::try_parse_from(words) {
                Err(error) if is_mention && error.kind() == ErrorKind::MissingRequiredArgument => {}
                Err(error) if error.use_stderr() => panic!("{}: {line}\n{error}", page.display()),
                Ok(_) | Err(_) => lines += 1,
            }
        }
    }
    assert!(lines > 20, "only {lines} command lines were found");
}

#[test]
fn every_example_in_the_help_is_understood() {
    let mut lines = 0;
    let command = Arguments::command();
    for help in
        std::iter::once(&command).chain(command.get_subcommands()).filter_map(|command| command.get_after_help())
    {
        for line in help.to_string().lines().filter(|line| line.starts_with("  ")) {
            // What the example does stands behind it.
            let Some(line) = line.trim().split("  ").next().and_then(command_line) else { continue };
            let words = words(&line).unwrap().into_iter().skip(2);
            let words = std::iter::once("kubectl-cognigy".to_owned()).chain(words);
            if let Err(error) = Arguments::try_parse_from(words) {
                panic!("{line}\n{error}");
            }
            lines += 1;
        }
    }
    assert!(lines > 10, "only {lines} examples were found");
}

#[test]
fn the_command_lines_of_a_page_are_found_wherever_they_stand() {
    let page = "\
Run `kubectl cognigy wait a` or:

```console
$ kubectl cognigy list \\
    -A | head   # a remark
$ kubectl apply -f a.yaml && kubectl cognigy retry a --reason 'a b' > out
```

```yaml pipeline
script:
  - kubectl cognigy wait \"$NAME\" --ci=github
```

```
it waits; in an emergency: kubectl cognigy override a --reason '…'; the window's reason: a freeze
```

A word such as `kubectl cognigy` is no command line.
";
    let expected = [
        "kubectl cognigy wait a",
        "kubectl cognigy list -A",
        "kubectl cognigy retry a --reason 'a b'",
        "kubectl cognigy wait \"$NAME\" --ci=github",
        "kubectl cognigy override a --reason '…'",
    ];
    assert_eq!(command_lines(page), expected);
    assert_eq!(words("kubectl cognigy retry a --reason 'a b'").unwrap()[5], "a b");
    assert_eq!(words("kubectl cognigy retry 'a"), None);
}

/// README.md and the pages in docs.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let files = |folder: PathBuf| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = files(root.clone())
        .chain(files(root.join("docs")))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

/// Each command line of the plugin: in blocks, and between backticks.
fn command_lines(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, part) in page.split("```").enumerate() {
        let is_block = number % 2 == 1;
        let text = part.replace("\\\n", " ");
        let candidates: Vec<&str> = match is_block {
            true => text.lines().collect(),
            false => text.split('`').skip(1).step_by(2).collect(),
        };
        for candidate in candidates {
            // What a program prints may mention a command in backticks; those are command lines as well.
            let candidates =
                if is_block && candidate.contains('`') { candidate.split('`').collect() } else { vec![candidate] };
            found.extend(candidates.into_iter().filter_map(command_line));
        }
    }
    found
}

/// The command line in a line of a shell, up to its end. `kubectl cognigy` alone is none.
fn command_line(line: &str) -> Option<String> {
    let start = line.find("kubectl cognigy ")?;
    let mut pieces = Vec::new();
    for piece in line[start..].split_whitespace().take_while(|piece| !ENDS.contains(piece)) {
        let last = piece.strip_suffix(';');
        pieces.push(last.unwrap_or(piece));
        if last.is_some() {
            break;
        }
    }
    (pieces.len() > 2).then(|| pieces.join(" "))
}

/// The words of a command line, without their quotes. `None` if a quote is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}
