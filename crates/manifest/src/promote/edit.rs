//! Which texts of the target are replaced by which texts of the source.

use super::layout::{Entry, Place, Shape};
use super::release::{Field, GROUPS};
use super::text::{Edit, line_break};
use super::{Side, block, member};
use crate::problem::Problem;
use api::VERSION_LABEL;

/// The edits of the target's text, and the fields that they change.
#[derive(Debug, Default)]
pub(super) struct Edits {
    pub(super) edits: Vec<Edit>,
    pub(super) fields: Vec<Field>,
}

/// Finds the edits that give the target the release of the source.
pub(super) fn find(from: &Side<'_>, to: &Side<'_>) -> Result<Edits, Box<Problem>> {
    let mut found = Edits::default();
    for group in GROUPS {
        let source = group.iter().find(|field| field.value_in(from.root).is_some());
        let target = group.iter().find(|field| field.value_in(to.root).is_some());
        let value = |field: Option<&Field>, side: &Side<'_>| field.map(|field| (*field, field.value_in(side.root)));
        if value(source, from) == value(target, to) {
            continue;
        }
        found.fields.extend(source);
        // A snapshot in the other form goes.
        found.fields.extend(target.filter(|target| Some(*target) != source));
        // The key may be there without a value.
        let written = |field: &&Field| to.layout.get("spec").is_some_and(|spec| spec.get(field.key()).is_some());
        let target = target.or_else(|| source.filter(written));
        let map = to.map("spec")?;
        let at = target.map(|field| to.index_of(map, *field)).transpose()?;
        let edit = match (source, at) {
            (Some(source), at) => {
                let from_map = from.map("spec")?;
                let source = (from, from_map, from.index_of(from_map, *source)?);
                match at {
                    Some(at) => replace(source, (to, map, at))?,
                    None => insert(source, (to, map, anchor(map, group)))?,
                }
            }
            (None, Some(at)) => remove((to, map, at))?,
            (None, None) => continue,
        };
        found.edits.push(edit);
    }
    label(from, to, &mut found)?;
    found.fields.sort();
    Ok(found)
}

/// An entry: the document, the map and the place in it.
type At<'s> = (&'s Side<'s>, &'s Place, usize);

fn entry<'s>((side, map, index): At<'s>) -> Result<&'s Entry, Box<Problem>> {
    map.entries().get(index).ok_or_else(|| side.refuse(map.begin, "", "the place of a field is not known"))
}

fn replace(from: At<'_>, to: At<'_>) -> Result<Edit, Box<Problem>> {
    let (source, target) = (entry(from)?, entry(to)?);
    let (from_text, to_text) = (from.0.part.text, to.0.part.text);
    let is_in_line = source.is_in_one_line(from_text) && target.is_in_one_line(to_text) && source.name == target.name;
    if is_in_line {
        // A comment behind the value stays.
        let new = from_text.get(source.value.begin..source.value.end).unwrap_or_default().to_owned();
        return Ok(Edit { range: target.value.begin..target.value.end, new });
    }
    if to.0.part.is_json {
        return Ok(member::replace(target, member::moved(from_text, source, to_text, target.key, line_break(to_text))));
    }
    let lines = lines_of(to)?;
    let moved = lines_of(from)?.moved(from_text, lines.indent, line_break(to.0.part.text));
    Ok(lines.replace(moved))
}

fn insert(from: At<'_>, after: At<'_>) -> Result<Edit, Box<Problem>> {
    let (source, target) = (entry(from)?, entry(after)?);
    let (from_text, to_text) = (from.0.part.text, after.0.part.text);
    if after.0.part.is_json {
        let line_break = line_break(to_text);
        let moved = member::moved(from_text, source, to_text, target.key, line_break);
        return Ok(member::insert_after(to_text, target, &moved, line_break));
    }
    let line_break = line_break(after.0.part.text);
    let lines = lines_of(after)?;
    let moved = lines_of(from)?.moved(from_text, lines.indent, line_break);
    Ok(lines.insert_after(&moved, line_break))
}

fn remove((side, map, index): At<'_>) -> Result<Edit, Box<Problem>> {
    match side.part.is_json {
        true => {
            member::remove(map, index).ok_or_else(|| side.refuse(map.begin, "", "the place of a field is not known"))
        }
        false => Ok(lines_of((side, map, index))?.remove(side.part.text)),
    }
}

fn lines_of((side, map, index): At<'_>) -> Result<block::Lines, Box<Problem>> {
    block::lines_of(side.part.text, map, index).map_err(|position| {
        side.refuse(position, "", "the key is not the first text of its line: write `key: value` on a line of its own")
    })
}

/// The entry that a new field is written after.
fn anchor(spec: &Place, group: &[Field]) -> usize {
    let place = |name: &str| spec.entries().iter().position(|entry| entry.name == name);
    let snapshot = || [Field::Snapshot, Field::SnapshotFrom].into_iter().find_map(|field| place(field.key()));
    let environment = place("environmentId");
    let found = if group.contains(&Field::Locks) { snapshot().or(environment) } else { environment.or_else(snapshot) };
    found.unwrap_or(spec.entries().len().saturating_sub(1))
}

/// The label gets the value that it has in the source. If the source does not have it, it is removed: it would name another
/// release.
fn label(from: &Side<'_>, to: &Side<'_>, found: &mut Edits) -> Result<(), Box<Problem>> {
    let (source, target) = (Field::Label.value_in(from.root), Field::Label.value_in(to.root));
    if source == target {
        return Ok(());
    }
    found.fields.push(Field::Label);
    let path = Field::Label.path();
    let written = |side: &Side<'_>| {
        let place =
            side.layout.get("metadata").and_then(|metadata| metadata.get("labels"))?.get(VERSION_LABEL).cloned();
        place.filter(|place| place.shape == Shape::Inline && !place.has_marks)
    };
    let value = |place: &Place| from.part.text.get(place.begin..place.end).unwrap_or_default().to_owned();
    let new = match source {
        None => None,
        Some(_) => {
            let Some(place) = written(from) else {
                return Err(from.refuse(
                    from.layout.begin,
                    path,
                    "the label has an anchor, an alias, a tag or several lines: write its value as a text in quotes",
                ));
            };
            Some(value(&place)).filter(|value| !value.contains('\n'))
        }
    };
    if let (Some(new), Some(place)) = (&new, written(to)) {
        found.edits.push(Edit { range: place.begin..place.end, new: new.clone() });
        return Ok(());
    }
    let metadata = to.map("metadata")?;
    let labels = metadata.entries().iter().position(|entry| entry.name == "labels");
    let edit = match (new, labels) {
        (Some(value), labels) => add_label(to, metadata, labels, &value)?,
        (None, Some(labels)) => {
            let place = metadata.entries().get(labels).map(|entry| &entry.value);
            // The last label takes `labels:` with it.
            match place.filter(|place| place.entries().len() > 1) {
                Some(_) => {
                    let map = to.labels()?;
                    remove((to, map, to.index_of(map, Field::Label)?))?
                }
                None => remove((to, metadata, labels))?,
            }
        }
        (None, None) => {
            return Err(to.refuse(to.layout.begin, path, "the place of the label is not known: write labels as a map"));
        }
    };
    found.edits.push(edit);
    Ok(())
}

fn add_label(to: &Side<'_>, metadata: &Place, labels: Option<usize>, value: &str) -> Result<Edit, Box<Problem>> {
    let (text, is_json) = (to.part.text, to.part.is_json);
    let line_break = line_break(text);
    let label = if is_json { format!("\"{VERSION_LABEL}\": {value}") } else { format!("{VERSION_LABEL}: {value}") };
    let index = labels.unwrap_or_default();
    let written = labels.and_then(|index| metadata.entries().get(index));
    let has_others = written.is_some_and(|written| !written.value.entries().is_empty());
    if has_others {
        let map = to.labels()?;
        let last = map.entries().len() - 1;
        return match (is_json, map.entries().last()) {
            (true, Some(entry)) => Ok(member::insert_after(text, entry, &label, line_break)),
            _ => {
                let lines = lines_of((to, map, last))?;
                Ok(lines.insert_after(&format!("{}{label}", " ".repeat(lines.indent)), line_break))
            }
        };
    }
    if is_json {
        let new = format!("\"labels\": {{{label}}}");
        let beside = written.or_else(|| metadata.entries().last());
        let beside = beside.ok_or_else(|| to.refuse(metadata.begin, "metadata", "it is empty: write a name"))?;
        return Ok(match written {
            Some(written) => member::replace(written, new),
            None => member::insert_after(text, beside, &new, line_break),
        });
    }
    let last = metadata.entries().iter().position(|entry| entry.name == "namespace");
    let last = last.or_else(|| metadata.entries().iter().position(|entry| entry.name == "name"));
    let lines = lines_of((to, metadata, if written.is_some() { index } else { last.unwrap_or_default() }))?;
    let indent = " ".repeat(lines.indent);
    let new = format!("{indent}labels:{line_break}{indent}{indent}{label}");
    Ok(if written.is_some() { lines.replace(new) } else { lines.insert_after(&new, line_break) })
}
