//! Splits a text into documents at the lines at which kubectl splits it.

/// A part of a text that may hold a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    /// How many lines come before it.
    pub(super) lines_before: usize,
    /// The byte at which it begins.
    pub(super) begin: usize,
    pub(super) text: &'a str,
}

/// A separator with something behind it, which kubectl refuses.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadSeparator {
    pub(super) line: usize,
}

/// The parts between lines that begin with `---`. kubectl looks at lines only, also in the middle of a block of text.
pub(super) fn split(text: &str) -> Result<Vec<Chunk<'_>>, BadSeparator> {
    let mut chunks = Vec::new();
    let (mut begin, mut lines_before, mut place) = (0, 0, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if let Some(rest) = line.strip_prefix("---") {
            let rest = rest.trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                return Err(BadSeparator { line: index + 1 });
            }
            chunks.push(Chunk { lines_before, begin, text: text.get(begin..place).unwrap_or_default() });
            (begin, lines_before) = (place + line.len(), index + 1);
        }
        place += line.len();
    }
    chunks.push(Chunk { lines_before, begin, text: text.get(begin..).unwrap_or_default() });
    Ok(chunks)
}
