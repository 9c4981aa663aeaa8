//! Removes from a text what a terminal or the log of a pipeline would execute instead of show.
//!
//! Messages come from resources that other people write, from Cognigy.AI and from kubectl. A terminal executes escape
//! sequences in them. Azure Pipelines and GitHub Actions execute commands that they find in any line of a log.

/// Shown in place of a character that a terminal would execute.
const REPLACEMENT: char = '\u{fffd}';
/// The parameters of the colour sequences that the plugin writes itself. Every other escape sequence is removed.
const OWN_COLORS: [&str; 6] = ["0", "1", "2", "31", "32", "33"];
/// Commands that a pipeline executes anywhere in a line: of GitHub Actions and of Azure Pipelines.
const COMMANDS: [&str; 2] = ["##[", "##vso["];

/// Whether a terminal executes the character, or reorders text because of it.
fn is_harmful(character: char) -> bool {
    let reorders = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    character.is_control() || reorders
}

/// Whether the character has no width. It could hide a command from the search for commands.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// A text in one line, without any escape sequence. Line breaks and tabs become spaces.
#[must_use]
pub fn one_line(text: &str) -> String {
    let shown = text.chars().filter(|character| !is_invisible(*character)).map(|character| match character {
        '\n' | '\r' | '\t' => ' ',
        character if is_harmful(character) => REPLACEMENT,
        character => character,
    });
    without_commands(shown.collect())
}

/// Lines as the plugin writes them: only its own colours are kept.
#[must_use]
pub fn lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(painted_line).collect();
    lines.join("\n")
}

fn painted_line(line: &str) -> String {
    // On Windows, programs end a line with both characters.
    let line = line.strip_suffix('\r').unwrap_or(line);
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(character) = rest.chars().next() {
        if let Some(length) = own_color(rest) {
            kept.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        rest = &rest[character.len_utf8()..];
        match character {
            '\t' => kept.push(character),
            character if is_invisible(character) => {}
            character if is_harmful(character) => kept.push(REPLACEMENT),
            character => kept.push(character),
        }
    }
    let kept = without_commands(kept);
    // GitHub Actions executes a command at the beginning of a line.
    let text = kept.trim_start();
    match text.strip_prefix("::") {
        Some(command) => format!("{}: :{command}", &kept[..kept.len() - text.len()]),
        None => kept,
    }
}

/// The length of the colour sequence at the beginning of a text, if the plugin writes this sequence.
fn own_color(text: &str) -> Option<usize> {
    let (parameters, _) = text.strip_prefix("\u{1b}[")?.split_once('m')?;
    OWN_COLORS.contains(&parameters).then_some(2 + parameters.len() + 1)
}

/// JSON with the same meaning, in which characters and commands that would be executed are escaped.
#[must_use]
pub fn json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (index, character) in text.char_indices() {
        let is_command = character == '#' && begins_command(&text[index..]);
        match character {
            '\n' => escaped.push(character),
            character if is_command || is_harmful(character) || is_invisible(character) => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            character => escaped.push(character),
        }
    }
    escaped
}

fn without_commands(text: String) -> String {
    if !text.contains("##") {
        return text;
    }
    let mut separated = String::with_capacity(text.len());
    for (index, character) in text.char_indices() {
        separated.push(character);
        if character == '#' && begins_command(&text[index..]) {
            separated.push('-');
        }
    }
    separated
}

fn begins_command(text: &str) -> bool {
    COMMANDS.iter().any(|command| text.get(..command.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(command)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HOSTILE: [&str; 7] = [
        "\u{1b}[2J\u{1b}]0;title\u{7}gone",
        "\u{1b}[8mhidden\u{1b}[1;31m",
        "over\rwritten\u{8}\u{7f}",
        "\u{9b}2J\u{85}",
        "\u{202e}desrever\u{2066}\u{200f}",
        "##vso[task.setvariable variable=PATH]x ##VSO[a] ##[add-mask]b",
        "##v\u{200b}so[task.x] #\u{ad}#[group]",
    ];

    fn is_safe(text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        !text.chars().any(|character| is_harmful(character) && character != '\n' || is_invisible(character))
            && !text.contains("##[")
            && !text.contains("##vso[")
            && text.lines().all(|line| !line.trim_start().starts_with("::"))
    }

    #[test]
    fn nothing_that_a_terminal_or_a_pipeline_executes_is_left_of_a_text() {
        for text in HOSTILE {
            assert!(is_safe(&one_line(text)), "{:?}", one_line(text));
            assert!(is_safe(&lines(text)), "{:?}", lines(text));
        }
        let forged = lines("refused\n::add-mask::x\n  ::error::y");
        assert!(is_safe(&forged), "{forged:?}");
        assert_eq!(one_line("two\nlines"), "two lines");
    }

    #[test]
    fn only_the_colours_of_the_plugin_stay() {
        assert_eq!(lines("\u{1b}[1m\u{1b}[31mbad\u{1b}[0m"), "\u{1b}[1m\u{1b}[31mbad\u{1b}[0m");
        assert_eq!(lines("\u{1b}[8mbad\u{1b}[0"), "\u{fffd}[8mbad\u{fffd}[0");
        assert_eq!(lines("a\r\nb"), "a\nb");
    }

    #[test]
    fn json_keeps_its_meaning_and_holds_nothing_that_is_executed() {
        for text in HOSTILE {
            let written = json(&serde_json::to_string_pretty(&[text]).unwrap());
            assert!(is_safe(&written), "{written:?}");
            assert_eq!(serde_json::from_str::<[String; 1]>(&written).unwrap(), [text.to_owned()]);
        }
    }
}
