//! Asking before something is requested.

use crate::exit::Failure;
use crate::output::{Style, Terminal, one_line};
use std::io::{BufRead, IsTerminal};

/// Whether a person agrees. `question` is what would happen, as the end of "This will …". `is_agreed` is the flag `--yes`.
///
/// # Errors
/// There is no terminal to ask on, or it cannot be read.
pub fn confirm(is_agreed: bool, name: &str, question: &str, terminal: &Terminal) -> Result<bool, Failure> {
    if is_agreed {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "this would {question} ({name}); there is no terminal to confirm it on: add --yes"
        )));
    }
    let question = one_line(question);
    terminal.ask(&format!("{}: this will {question}. Go on? [y/N] ", terminal.paint(Style::Strong, name)))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
