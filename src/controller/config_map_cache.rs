//! A cache of the texts in ConfigMaps, bounded in time and in bytes. It keeps the hash and the snapshot of each text,
//! so that the text is parsed as JSON or YAML only once.

use super::snapshot::ReadText;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a cached text is used before it is read again. A change that the watch shows removes it earlier.
pub const READ_AGAIN: Duration = Duration::from_secs(300);
/// The maximum size in bytes of all cached snapshots together. A single one may have 1 MiB, the limit of a ConfigMap.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The key of a ConfigMap that holds a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConfigMapKey {
    /// The ConfigMap's namespace.
    pub namespace: String,
    /// The ConfigMap.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// A text that was read.
#[derive(Clone, Debug)]
pub struct CachedText {
    /// The uptime at which it was read.
    pub at: Duration,
    /// Its content, if the key was there.
    pub read: Option<Arc<ReadText>>,
}

impl CachedText {
    fn bytes(&self) -> usize {
        self.read.as_ref().map_or(0, |read| read.bytes())
    }
}

/// The texts that were read recently.
#[derive(Debug, Default)]
pub struct ConfigMapCache {
    by_key: HashMap<ConfigMapKey, CachedText>,
    changes: u64,
}

impl ConfigMapCache {
    /// The number of changes of ConfigMaps so far. If it grows while a request is in progress, the answer may be
    /// outdated.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The text under this key, if it was not read too long ago.
    #[must_use]
    pub fn get(&self, key: &ConfigMapKey, uptime: Duration) -> Option<&CachedText> {
        self.by_key.get(key).filter(|text| is_fresh(text, uptime))
    }

    /// Keeps a text. Removes texts that are too old, and then the oldest ones until there is room.
    pub fn put(&mut self, key: ConfigMapKey, text: CachedText) {
        let now = text.at;
        self.by_key.retain(|other, text| *other != key && is_fresh(text, now));
        let room = MAX_BYTES.saturating_sub(text.bytes());
        let mut bytes = self.bytes();
        while bytes > room {
            let oldest = self.by_key.iter().min_by_key(|(_, text)| text.at).map(|(key, _)| key.clone());
            let Some(oldest) = oldest.and_then(|oldest| self.by_key.remove(&oldest)) else { break };
            bytes -= oldest.bytes();
        }
        self.by_key.insert(key, text);
    }

    /// Removes all texts of a ConfigMap, because it has changed.
    pub fn forget(&mut self, namespace: &str, name: &str) {
        self.changes += 1;
        self.by_key.retain(|key, _| key.namespace != namespace || key.name != name);
    }

    fn bytes(&self) -> usize {
        self.by_key.values().map(CachedText::bytes).sum()
    }
}

fn is_fresh(text: &CachedText, uptime: Duration) -> bool {
    uptime.saturating_sub(text.at) < READ_AGAIN
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use api::snapshot::ReadSnapshot;

    fn key(name: &str) -> ConfigMapKey {
        ConfigMapKey { namespace: "bots".to_owned(), name: name.to_owned(), key: "snapshot".to_owned() }
    }

    /// A text that takes this many bytes.
    fn text(at: u64, bytes: usize) -> CachedText {
        let room = bytes - size_of::<ReadText>();
        let json = format!("{{\"\":\"{}\"}}", "x".repeat(room - r#"{"":""}"#.len()));
        let snapshot = serde_json::from_str(&json).unwrap();
        let read = ReadText { sha256: String::new(), snapshot: Ok(ReadSnapshot { snapshot, warnings: Vec::new() }) };
        CachedText { at: Duration::from_secs(at), read: Some(Arc::new(read)) }
    }

    #[test]
    fn a_text_is_cached_until_it_is_old_or_its_config_map_has_changed() {
        let mut cache = ConfigMapCache::default();
        cache.put(key("flows"), text(10, 500));
        assert_eq!(cache.get(&key("flows"), Duration::from_secs(309)).unwrap().bytes(), 500);
        assert!(cache.get(&key("flows"), Duration::from_secs(310)).is_none());
        assert!(cache.get(&key("others"), Duration::from_secs(10)).is_none());
        cache.forget("bots", "others");
        assert!(cache.get(&key("flows"), Duration::from_secs(10)).is_some());
        cache.forget("bots", "flows");
        assert!(cache.get(&key("flows"), Duration::from_secs(10)).is_none());
    }

    #[test]
    fn the_oldest_texts_are_removed_if_there_is_no_room_for_a_new_one() {
        let (mut cache, quarter) = (ConfigMapCache::default(), MAX_BYTES / 4);
        for number in 0..40 {
            cache.put(key(&number.to_string()), text(number, quarter));
            assert!(cache.bytes() <= MAX_BYTES);
        }
        let known: Vec<bool> =
            (34..40).map(|number| cache.get(&key(&number.to_string()), Duration::from_secs(40)).is_some()).collect();
        assert_eq!(known, [false, false, true, true, true, true]);
        cache.put(key("large"), text(40, MAX_BYTES + 1));
        assert!(cache.get(&key("large"), Duration::from_secs(40)).is_some(), "the newest text is kept");
        cache.put(key("next"), text(41, 500));
        assert_eq!(cache.bytes(), 500);
    }

    #[test]
    fn a_text_that_is_read_again_is_counted_once() {
        let mut cache = ConfigMapCache::default();
        for at in 0..10 {
            cache.put(key("flows"), text(at, 500));
        }
        assert_eq!(cache.bytes(), 500);
    }
}
