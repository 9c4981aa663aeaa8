//! The texts in ConfigMaps as they were last read, bounded in time and in bytes: what is let go of is read again. Of a text
//! its hash and its snapshot are kept, so that it is read as JSON or YAML once.

use super::snapshot::ReadText;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a text is believed where nobody watches its ConfigMap.
pub const READ_AGAIN: Duration = Duration::from_secs(300);
/// The most bytes of all snapshots together. One alone may be as long as a ConfigMap can be, 1 MiB.
pub const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Where a text is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TextPlace {
    /// The ConfigMap's namespace.
    pub namespace: String,
    /// The ConfigMap.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// A text as it was read.
#[derive(Clone, Debug)]
pub struct Text {
    /// When, in the time of the process.
    pub at: Duration,
    /// What was there, if anything was.
    pub read: Option<Arc<ReadText>>,
}

impl Text {
    fn bytes(&self) -> usize {
        self.read.as_ref().map_or(0, |read| read.bytes())
    }
}

/// The texts that were read lately.
#[derive(Debug, Default)]
pub struct Texts {
    by_place: HashMap<TextPlace, Text>,
    changes: u64,
}

impl Texts {
    /// How often a change was told: an answer that was on its way meanwhile may be older than it.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What was read there, if that is not too long ago.
    #[must_use]
    pub fn get(&self, place: &TextPlace, uptime: Duration) -> Option<&Text> {
        self.by_place.get(place).filter(|text| is_fresh(text, uptime))
    }

    /// Remembers what was read there, and forgets what is old, and then the oldest of what is too much.
    pub fn put(&mut self, place: TextPlace, text: Text) {
        let now = text.at;
        self.by_place.retain(|other, text| *other != place && is_fresh(text, now));
        let room = MOST_BYTES.saturating_sub(text.bytes());
        let mut bytes = self.bytes();
        while bytes > room {
            let oldest = self.by_place.iter().min_by_key(|(_, text)| text.at).map(|(place, _)| place.clone());
            let Some(oldest) = oldest.and_then(|oldest| self.by_place.remove(&oldest)) else { break };
            bytes -= oldest.bytes();
        }
        self.by_place.insert(place, text);
    }

    /// That ConfigMap has changed: forgets what was read in it.
    pub fn forget(&mut self, namespace: &str, name: &str) {
        self.changes += 1;
        self.by_place.retain(|place, _| place.namespace != namespace || place.name != name);
    }

    fn bytes(&self) -> usize {
        self.by_place.values().map(Text::bytes).sum()
    }
}

fn is_fresh(text: &Text, uptime: Duration) -> bool {
    uptime.saturating_sub(text.at) < READ_AGAIN
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use api::snapshot::ReadSnapshot;

    fn place(name: &str) -> TextPlace {
        TextPlace { namespace: "bots".to_owned(), name: name.to_owned(), key: "snapshot".to_owned() }
    }

    /// A text that takes so many bytes.
    fn text(at: u64, bytes: usize) -> Text {
        let room = bytes - size_of::<ReadText>();
        let json = format!("{{\"\":\"{}\"}}", "x".repeat(room - r#"{"":""}"#.len()));
        let snapshot = serde_json::from_str(&json).unwrap();
        let read = ReadText { sha256: String::new(), snapshot: Ok(ReadSnapshot { snapshot, warnings: Vec::new() }) };
        Text { at: Duration::from_secs(at), read: Some(Arc::new(read)) }
    }

    #[test]
    fn what_was_read_is_known_until_it_is_old_or_its_map_has_changed() {
        let mut texts = Texts::default();
        texts.put(place("flows"), text(10, 500));
        assert_eq!(texts.get(&place("flows"), Duration::from_secs(309)).unwrap().bytes(), 500);
        assert!(texts.get(&place("flows"), Duration::from_secs(310)).is_none());
        assert!(texts.get(&place("others"), Duration::from_secs(10)).is_none());
        texts.forget("bots", "others");
        assert!(texts.get(&place("flows"), Duration::from_secs(10)).is_some());
        texts.forget("bots", "flows");
        assert!(texts.get(&place("flows"), Duration::from_secs(10)).is_none());
    }

    #[test]
    fn however_many_texts_are_read_the_oldest_make_room_for_the_others() {
        let (mut texts, quarter) = (Texts::default(), MOST_BYTES / 4);
        for number in 0..40 {
            texts.put(place(&number.to_string()), text(number, quarter));
            assert!(texts.bytes() <= MOST_BYTES);
        }
        let known: Vec<bool> =
            (34..40).map(|number| texts.get(&place(&number.to_string()), Duration::from_secs(40)).is_some()).collect();
        assert_eq!(known, [false, false, true, true, true, true]);
        texts.put(place("large"), text(40, MOST_BYTES + 1));
        assert!(texts.get(&place("large"), Duration::from_secs(40)).is_some(), "what is needed now is kept");
        texts.put(place("next"), text(41, 500));
        assert_eq!(texts.bytes(), 500);
    }

    #[test]
    fn a_text_that_is_read_again_is_counted_once() {
        let mut texts = Texts::default();
        for at in 0..10 {
            texts.put(place("flows"), text(at, 500));
        }
        assert_eq!(texts.bytes(), 500);
    }
}
