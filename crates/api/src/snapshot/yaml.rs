//! Converts YAML to JSON text, event by event and without a tree.
//!
//! For a node with an anchor, the written JSON is kept, and each alias writes it again. So aliases cannot multiply
//! beyond the limit on the written text.

use super::limits::{MAX_BYTES, MAX_DEPTH};
use super::outline::Outline;
use super::problem::SnapshotProblem;
use super::scalar::{Scalar, resolve};
use super::text::{Path, head};
use super::warning;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::rc::Rc;

/// The maximum number of bytes that may be kept for anchors or written again for aliases.
const MAX_REPEATED_BYTES: usize = 4 * MAX_BYTES;

/// A YAML document as JSON.
pub(super) struct Converted {
    pub(super) json: String,
    pub(super) warnings: Vec<String>,
}

/// Converts the only document of a text to JSON. It does not detect duplicate keys of a mapping; the [`Outline`] does.
pub(super) fn convert(text: &str) -> Result<Converted, SnapshotProblem> {
    let mut writer = Writer::default();
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| syntax(&error))?;
        writer.take(event)?;
    }
    if writer.json.is_empty() {
        writer.json.push_str("null");
    }
    Ok(Converted { json: writer.json, warnings: writer.warnings })
}

fn syntax(error: &ScanError) -> SnapshotProblem {
    let error = error.to_string();
    SnapshotProblem::Syntax(head(error.lines().next().unwrap_or_default()).to_owned())
}

/// A node with an anchor, in the form that an alias inserts.
#[derive(Clone)]
struct Anchored {
    json: Rc<str>,
    /// The text to use as a key, if the node is a scalar.
    key: Option<Rc<str>>,
}

/// A sequence or mapping that is still open.
struct Open {
    begin: usize,
    anchor: usize,
    kind: Kind,
}

enum Kind {
    Sequence {
        items: usize,
    },
    Mapping {
        /// The positions of its keys in the JSON.
        keys: Vec<Range<usize>>,
        expects: Expects,
        /// The values of its `<<` keys.
        merged: Vec<String>,
    },
}

#[derive(Clone, Copy)]
enum Expects {
    Key,
    Value,
    /// The value of `<<`, which begins at this position.
    Merge {
        begin: usize,
    },
}

#[derive(Default)]
struct Writer {
    json: String,
    open: Vec<Open>,
    anchored: HashMap<usize, Anchored>,
    /// The number of bytes that were written again or kept, including those that were removed later.
    repeated: usize,
    documents: usize,
    warnings: Vec<String>,
}

impl Writer {
    fn take(&mut self, event: Event<'_>) -> Result<(), SnapshotProblem> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let problem = "it contains more than one YAML document; write one".to_owned();
                    return Err(SnapshotProblem::Syntax(problem));
                }
            }
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref())?,
            Event::SequenceStart(_, anchor, _) => self.begin('[', anchor, Kind::Sequence { items: 0 })?,
            Event::MappingStart(_, anchor, _) => {
                let kind = Kind::Mapping { keys: Vec::new(), expects: Expects::Key, merged: Vec::new() };
                self.begin('{', anchor, kind)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Alias(anchor) => self.alias(anchor)?,
            _ => {}
        }
        self.check_size()
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
    ) -> Result<(), SnapshotProblem> {
        if self.expects_key() {
            if resolve(text, style, tag) == Scalar::Null {
                return Err(SnapshotProblem::KeyNotText { path: self.path().into() });
            }
            self.keep_key(anchor, text)?;
            let is_merge = text == "<<" && style == ScalarStyle::Plain && tag.is_none();
            self.key(text, is_merge);
            return Ok(());
        }
        self.separate();
        let begin = self.json.len();
        match resolve(text, style, tag) {
            Scalar::Null => self.json.push_str("null"),
            Scalar::Truth(truth) => self.json.push_str(if truth { "true" } else { "false" }),
            Scalar::Number { token, had_leading_zeros } => {
                if had_leading_zeros {
                    self.warn(|path| warning::of_leading_zeros(path, text, &token));
                }
                self.json.push_str(&token);
            }
            Scalar::Text { older_meaning } => {
                if let Some(meaning) = older_meaning {
                    self.warn(|path| warning::of_older_yaml(path, text, meaning));
                }
                self.json.push_str(&quoted(text));
            }
            Scalar::NotJson(why) => {
                let scalar = head(text).to_owned();
                return Err(SnapshotProblem::ScalarNotJson { path: self.path().into(), scalar, why });
            }
        }
        self.keep_written(anchor, begin, Some(text))?;
        self.ended(begin)
    }

    /// Keeps a key that has an anchor. As a value, it is a text.
    fn keep_key(&mut self, anchor: usize, text: &str) -> Result<(), SnapshotProblem> {
        if anchor > 0 {
            self.count(text.len())?;
            self.anchored.insert(anchor, Anchored { json: quoted(text).into(), key: Some(text.into()) });
        }
        Ok(())
    }

    /// Writes a key. The key of a merge (`<<`) is not written.
    fn key(&mut self, text: &str, is_merge: bool) {
        let place = self.json.len();
        let Some(Open { kind: Kind::Mapping { keys, expects, .. }, .. }) = self.open.last_mut() else { return };
        if is_merge {
            *expects = Expects::Merge { begin: place };
            return;
        }
        if !keys.is_empty() {
            self.json.push(',');
        }
        let begin = self.json.len();
        self.json.push_str(&quoted(text));
        keys.push(begin..self.json.len());
        self.json.push(':');
        *expects = Expects::Value;
    }

    fn begin(&mut self, bracket: char, anchor: usize, kind: Kind) -> Result<(), SnapshotProblem> {
        if self.expects_key() {
            return Err(SnapshotProblem::KeyNotText { path: self.path().into() });
        }
        self.separate();
        if self.open.len() == MAX_DEPTH {
            // The total depth is unknown, because the rest of the text is not read.
            return Err(SnapshotProblem::TooDeep { path: self.path().into(), depth: None });
        }
        self.open.push(Open { begin: self.json.len(), anchor, kind });
        self.json.push(bracket);
        Ok(())
    }

    fn end(&mut self) -> Result<(), SnapshotProblem> {
        let Some(Open { begin, anchor, kind }) = self.open.pop() else { return Ok(()) };
        match kind {
            Kind::Sequence { .. } => self.json.push(']'),
            Kind::Mapping { keys, merged, .. } => {
                if !merged.is_empty() {
                    self.merge(&keys, &merged)?;
                }
                self.json.push('}');
            }
        }
        self.keep_written(anchor, begin, None)?;
        self.ended(begin)
    }

    fn alias(&mut self, anchor: usize) -> Result<(), SnapshotProblem> {
        let Some(anchored) = self.anchored.get(&anchor).cloned() else {
            let problem =
                format!("{} is an alias of a value that contains the alias itself", String::from(self.path()));
            return Err(SnapshotProblem::Syntax(problem));
        };
        if self.expects_key() {
            let Some(key) = anchored.key else {
                return Err(SnapshotProblem::KeyNotText { path: self.path().into() });
            };
            self.key(&key, false);
            return Ok(());
        }
        self.separate();
        let begin = self.json.len();
        self.count(anchored.json.len())?;
        self.json.push_str(&anchored.json);
        self.ended(begin)
    }

    /// Whether the next node is a key of the innermost open mapping.
    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { kind: Kind::Mapping { expects: Expects::Key, .. }, .. }))
    }

    fn separate(&mut self) {
        if let Some(Open { kind: Kind::Sequence { items }, .. }) = self.open.last_mut() {
            if *items > 0 {
                self.json.push(',');
            }
            *items += 1;
        }
    }

    /// A node has been written. If it is the value of a `<<`, it is removed from the JSON again.
    fn ended(&mut self, begin: usize) -> Result<(), SnapshotProblem> {
        let Some(Open { kind: Kind::Mapping { expects, merged, .. }, .. }) = self.open.last_mut() else {
            return Ok(());
        };
        if let Expects::Merge { begin: merge } = *expects
            && merge == begin
        {
            merged.push(self.json.split_off(begin));
        }
        *expects = Expects::Key;
        Ok(())
    }

    /// Adds the entries of a mapping's `<<` values, except for keys that the mapping has itself. If several values have
    /// a key, the first one wins.
    fn merge(&mut self, keys: &[Range<usize>], merged: &[String]) -> Result<(), SnapshotProblem> {
        let mut known: HashSet<String> =
            keys.iter().filter_map(|key| self.json.get(key.clone()).map(str::to_owned)).collect();
        for text in merged {
            self.count(text.len())?;
            Outline::of(text)?;
            let Some(mappings) = mappings(text) else {
                return Err(SnapshotProblem::MergeNotMapping { path: self.path().into() });
            };
            for Entries(entries) in mappings {
                for (key, value) in entries {
                    let (key, is_first) = (quoted(&key), known.is_empty());
                    if known.contains(&key) {
                        continue;
                    }
                    self.json.push_str(if is_first { "" } else { "," });
                    self.json.push_str(&key);
                    self.json.push(':');
                    self.json.push_str(value.get());
                    known.insert(key);
                    self.check_size()?;
                }
            }
        }
        Ok(())
    }

    /// Keeps a node that has just been written, if it has an anchor.
    fn keep_written(&mut self, anchor: usize, begin: usize, key: Option<&str>) -> Result<(), SnapshotProblem> {
        if anchor == 0 {
            return Ok(());
        }
        let json: Rc<str> = self.json.get(begin..).unwrap_or_default().into();
        self.count(json.len())?;
        self.anchored.insert(anchor, Anchored { json, key: key.map(Into::into) });
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> Result<(), SnapshotProblem> {
        self.repeated += bytes;
        if self.repeated > MAX_REPEATED_BYTES { Err(SnapshotProblem::TooLarge) } else { Ok(()) }
    }

    fn check_size(&self) -> Result<(), SnapshotProblem> {
        if self.json.len() > MAX_BYTES { Err(SnapshotProblem::TooLarge) } else { Ok(()) }
    }

    fn warn(&mut self, warning: impl FnOnce(&str) -> String) {
        if self.warnings.len() < warning::MAX_WARNINGS {
            self.warnings.push(warning(&String::from(self.path())));
        }
    }

    /// The path of the value that is being written, or of the mapping that expects a key.
    fn path(&self) -> Path {
        let mut path = Path::default();
        for open in &self.open {
            path = match &open.kind {
                Kind::Sequence { items } => path.index(items.saturating_sub(1)),
                Kind::Mapping { expects: Expects::Merge { .. }, .. } => path.key("<<"),
                Kind::Mapping { expects: Expects::Key, .. } => path,
                Kind::Mapping { keys, .. } => {
                    let key = keys.last().and_then(|key| self.json.get(key.start + 1..key.end - 1));
                    path.key(key.unwrap_or_default())
                }
            };
        }
        path
    }
}

/// The entries of an object, in their original order.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for EntriesVisitor<'a> {
    type Value = Entries<'a>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'a>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

/// The mappings in the value of a `<<`: one mapping, a list of them, or `null` for no mapping. `None` if the value is
/// anything else.
fn mappings(text: &str) -> Option<Vec<Entries<'_>>> {
    match text {
        "null" => Some(Vec::new()),
        list if list.starts_with('[') => serde_json::from_str(list).ok(),
        mapping => serde_json::from_str(mapping).ok().map(|entries| vec![entries]),
    }
}

/// A text as a JSON string.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
