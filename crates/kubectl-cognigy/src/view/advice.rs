//! What a reason means and what to do about it: the table of docs/conditions.md, which is a part of this program.

use api::Reason;

const CONDITIONS: &str = include_str!("../../../../docs/conditions.md");

/// What the documentation says about a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What it means.
    pub meaning: String,
    /// What to do. "nothing" means that the operator goes on by itself.
    pub what_to_do: String,
}

/// The advice about a reason. `None` for a reason of another version.
#[must_use]
pub fn advice(reason: Reason) -> Option<Advice> {
    let (_, reasons) = CONDITIONS.split_once("\n## Reasons")?;
    let start = format!("| `{}` |", reason.as_str());
    let row = reasons.lines().find(|line| line.starts_with(&start))?;
    let mut cells = row.trim_matches('|').split('|').skip(1).map(|cell| plain(cell.trim()));
    Some(Advice { meaning: cells.next()?, what_to_do: cells.next()? })
}

/// Markdown as plain text. A link becomes its text, followed by its page if that is another page.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, link)) = rest.split_once('[') {
        let Some((label, (target, after))) =
            link.split_once("](").and_then(|(label, tail)| Some((label, tail.split_once(')')?)))
        else {
            text.push_str(before);
            text.push('[');
            rest = link;
            continue;
        };
        text.push_str(before);
        text.push_str(label);
        if !target.starts_with('#') {
            text.push_str(&format!(" (docs/{target})"));
        }
        rest = after;
    }
    text.push_str(rest);
    text.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_an_answer() {
        for reason in Reason::ALL {
            let advice = advice(*reason).unwrap_or_else(|| panic!("{reason} has no row in docs/conditions.md"));
            for text in [&advice.meaning, &advice.what_to_do] {
                assert!(!text.is_empty() && !text.contains("](") && !text.contains('`'), "{reason}: {text}");
            }
        }
    }

    #[test]
    fn links_become_text() {
        let text = plain("see [snapshots](operations.md#snapshots) or [below](#here), `x`");
        assert_eq!(text, "see snapshots (docs/operations.md#snapshots) or below, x");
    }
}
