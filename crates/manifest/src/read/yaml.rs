//! Reads one YAML document as kubectl does.

use super::builder::{Builder, Fault, too_deep};
use super::scalar::{self, Scalar};
use crate::node::{Content, Node};
use serde_saphyr::granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Tag};
use std::collections::HashMap;

/// Reads a text that has at most one document. A text without a value leaves the builder without a root.
pub(super) fn read(text: &str, builder: &mut Builder) -> Result<(), Fault> {
    if let Some(place) = text.find(['\u{85}', '\u{2028}', '\u{2029}']) {
        let line = text.get(..place).unwrap_or_default().lines().count();
        let message = "the text holds U+0085, U+2028 or U+2029, which kubectl reads as a line break: write it as an escape in double quotes, such as \"\\u2028\"";
        return Err(Fault { line: Some(line), path: String::new(), message: message.to_owned() });
    }
    let mut reader = Reader { builder, anchored: HashMap::new(), documents: 0 };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| syntax(&error))?;
        reader.take(event, span.start.line())?;
    }
    Ok(())
}

fn syntax(error: &ScanError) -> Fault {
    let info = error.info();
    let message = match error.kind() {
        ErrorKind::RecursionLimitExceeded => too_deep(),
        _ => format!("it is not YAML: {}", info.lines().next().unwrap_or_default()),
    };
    Fault { line: Some(error.marker().line()), path: String::new(), message }
}

struct Reader<'b> {
    builder: &'b mut Builder,
    anchored: HashMap<usize, Node>,
    documents: usize,
}

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(_, version) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "kubectl ignores what follows \"...\": begin each document with a line \"---\"";
                    return Err(self.builder.fault(line, message.to_owned()));
                }
                if version.is_some_and(|version| (version.major, version.minor) != (1, 1)) {
                    let message = "kubectl refuses %YAML with another version than 1.1: remove the line";
                    return Err(self.builder.fault(line, message.to_owned()));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref(), line),
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", line)?;
                self.builder.begin_list(line, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", line)?;
                self.builder.begin_map(line, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.anchored.extend(self.builder.end()?);
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, line),
            _ => Ok(()),
        }
    }

    fn check_tag(&self, tag: Option<&Tag>, expected: &str, line: usize) -> Result<(), Fault> {
        let is_expected =
            tag.is_none_or(|tag| tag.suffix_in_namespace("tag:yaml.org,2002:").as_deref() == Some(expected));
        match is_expected {
            true => Ok(()),
            false => Err(self.builder.fault(line, "its tag means nothing in a manifest: remove the tag".to_owned())),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        line: usize,
    ) -> Result<(), Fault> {
        let is_plain = style == ScalarStyle::Plain && tag.is_none();
        let scalar = scalar::resolve(text, style, tag);
        if anchor > 0
            && let Some(content) = content(text, &scalar)
        {
            self.anchored.insert(anchor, Node { line, content });
        }
        if self.builder.expects_key() {
            return match is_plain && text == "<<" {
                true => {
                    self.builder.merge_key(line);
                    Ok(())
                }
                false => self.key(text, &scalar, line),
            };
        }
        if is_plain && let Some(warning) = scalar::warning(text, &scalar) {
            self.builder.doubt(line, warning);
        }
        match scalar {
            Scalar::Refused(message) => Err(self.builder.fault(line, message)),
            scalar => content(text, &scalar).map_or(Ok(()), |content| self.builder.value(line, content)),
        }
    }

    fn key(&mut self, text: &str, scalar: &Scalar, line: usize) -> Result<(), Fault> {
        let name = match scalar {
            Scalar::Text => text.to_owned(),
            Scalar::Truth(truth) => truth.to_string(),
            Scalar::Number(number) if number.parse::<i64>().is_ok() && !text.contains(['.', 'e', 'E']) => {
                number.clone()
            }
            Scalar::Number(_) | Scalar::Null | Scalar::Refused(_) => {
                let message =
                    format!("the key {text:?} is no text, and kubectl reads it as something else: write it in quotes");
                return Err(self.builder.fault(line, message));
            }
        };
        let is_other = name != text;
        self.builder.key(line, name.clone())?;
        if is_other {
            self.builder.doubt(line, format!("kubectl reads the key {text} as \"{name}\": write the key in quotes"));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<(), Fault> {
        let Some(node) = self.anchored.get(&anchor).cloned() else {
            return Err(self
                .builder
                .fault(line, "an alias stands for what it is itself a part of: write it out".to_owned()));
        };
        if !self.builder.expects_key() {
            return self.builder.copy(node);
        }
        match node.content {
            Content::Text(text) => self.builder.key(line, text),
            _ => {
                Err(self.builder.fault(line, "a key is an alias of something else than a text: write text".to_owned()))
            }
        }
    }
}

fn content(text: &str, scalar: &Scalar) -> Option<Content> {
    Some(match scalar {
        Scalar::Null => Content::Null,
        Scalar::Truth(truth) => Content::Truth(*truth),
        Scalar::Number(number) => Content::Number(number.clone()),
        Scalar::Text => Content::Text(text.to_owned()),
        Scalar::Refused(_) => return None,
    })
}
