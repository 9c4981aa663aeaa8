//! Converts each list except the first into the changes that it implies.
//!
//! kube's own reflector buffers the objects of a list until the list is complete, and then swaps them in. Triggers,
//! however, are sent for each object at once. The gap may last seconds, because the end of a streaming list waits for
//! the API server's watch cache. A reconcile that runs in this gap reads the old object, or none, and is never
//! triggered again. This is how changes were lost after a restart of the API server. Here an object of a later list is
//! an ordinary change, which is in the store before it triggers a reconcile.

use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use std::collections::HashSet;

/// The state of one watch's lists.
pub struct Relist<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store: Store<K>,
    /// Whether the first list is complete. The reflector and all reconciles wait for that.
    is_complete: bool,
    /// The objects in the current list so far.
    listed: HashSet<ObjectRef<K>>,
}

impl<K> Relist<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    /// The state before the first list. `store` holds the objects of the events that this type returns.
    #[must_use]
    pub fn new(store: Store<K>) -> Self {
        Self { store, is_complete: false, listed: HashSet::new() }
    }

    /// Whether the first list is complete.
    #[must_use]
    pub fn has_listed(&self) -> bool {
        self.is_complete
    }

    /// The changes to the store that an event of the watch implies.
    pub fn changes(&mut self, event: Event<K>) -> Vec<Event<K>> {
        if !self.is_complete {
            self.is_complete = matches!(event, Event::InitDone);
            return vec![event];
        }
        match event {
            Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                let name = ObjectRef::from_obj(&object);
                let replaced = self.store.get(&name).filter(|known| known.uid() != object.uid());
                self.listed.insert(name);
                replaced
                    .map(|known| Event::Delete(K::clone(&known)))
                    .into_iter()
                    .chain([Event::Apply(object)])
                    .collect()
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let known = self.store.state().into_iter();
                let gone = known.filter(|known| !listed.contains(&ObjectRef::from_obj(known.as_ref())));
                gone.map(|known| Event::Delete(K::clone(&known))).collect()
            }
            change @ (Event::Apply(_) | Event::Delete(_)) => vec![change],
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use kube::runtime::reflector;

    fn object(name: &str, uid: &str, version: u32) -> ConfigMap {
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("bots".to_owned()),
            uid: Some(uid.to_owned()),
            resource_version: Some(version.to_string()),
            ..ObjectMeta::default()
        };
        ConfigMap { metadata, ..ConfigMap::default() }
    }

    fn shown(event: &Event<ConfigMap>) -> String {
        let of = |object: &ConfigMap| {
            format!("{}/{}@{}", object.name_any(), object.uid().unwrap(), object.resource_version().unwrap())
        };
        match event {
            Event::Init => "init".to_owned(),
            Event::InitApply(object) => format!("listed {}", of(object)),
            Event::InitDone => "done".to_owned(),
            Event::Apply(object) => format!("applied {}", of(object)),
            Event::Delete(object) => format!("deleted {}", of(object)),
        }
    }

    /// The resulting events, and a store that receives them.
    struct Watch {
        relist: Relist<ConfigMap>,
        store: Store<ConfigMap>,
        writer: reflector::store::Writer<ConfigMap>,
    }

    impl Watch {
        fn new() -> Self {
            let (store, writer) = reflector::store();
            Self { relist: Relist::new(store.clone()), store, writer }
        }

        fn tell(&mut self, event: Event<ConfigMap>) -> Vec<String> {
            let events = self.relist.changes(event);
            events.iter().for_each(|event| self.writer.apply_watcher_event(event));
            events.iter().map(shown).collect()
        }

        fn after_a_first_list() -> Self {
            let mut watch = Self::new();
            for event in [Event::Init, Event::InitApply(object("a", "1", 1)), Event::InitApply(object("b", "2", 2))] {
                watch.tell(event);
            }
            watch.tell(Event::InitDone);
            watch
        }
    }

    #[test]
    fn the_first_list_is_passed_on_unchanged_even_if_it_is_started_twice() {
        let mut watch = Watch::new();
        assert_eq!(watch.tell(Event::Init), ["init"]);
        assert_eq!(watch.tell(Event::InitApply(object("a", "1", 1))), ["listed a/1@1"]);
        assert_eq!(watch.tell(Event::Init), ["init"]);
        assert_eq!(watch.tell(Event::InitDone), ["done"]);
        assert!(watch.store.state().is_empty());
    }

    #[test]
    fn an_object_of_a_later_list_is_in_the_store_before_the_list_is_complete() {
        let mut watch = Watch::after_a_first_list();
        assert!(watch.tell(Event::Init).is_empty());
        assert_eq!(watch.tell(Event::InitApply(object("a", "1", 7))), ["applied a/1@7"]);
        assert_eq!(watch.tell(Event::InitApply(object("new", "3", 8))), ["applied new/3@8"]);
        for (name, version) in [("a", "7"), ("new", "8")] {
            let stored = watch.store.get(&ObjectRef::new(name).within("bots")).unwrap();
            assert_eq!(stored.resource_version().as_deref(), Some(version));
        }
    }

    #[test]
    fn objects_missing_in_a_later_list_are_deleted_when_the_list_is_complete() {
        let mut watch = Watch::after_a_first_list();
        watch.tell(Event::Init);
        watch.tell(Event::InitApply(object("a", "1", 1)));
        assert_eq!(watch.store.len(), 2);
        assert_eq!(watch.tell(Event::InitDone), ["deleted b/2@2"]);
        assert_eq!(watch.store.len(), 1);
    }

    #[test]
    fn a_later_list_that_is_started_again_forgets_its_earlier_objects() {
        let mut watch = Watch::after_a_first_list();
        watch.tell(Event::Init);
        watch.tell(Event::InitApply(object("b", "2", 2)));
        watch.tell(Event::Init);
        watch.tell(Event::InitApply(object("a", "1", 1)));
        assert_eq!(watch.tell(Event::InitDone), ["deleted b/2@2"]);
    }

    #[test]
    fn an_object_is_deleted_before_another_one_with_the_same_name_is_applied() {
        let mut watch = Watch::after_a_first_list();
        watch.tell(Event::Init);
        assert_eq!(watch.tell(Event::InitApply(object("a", "9", 7))), ["deleted a/1@1", "applied a/9@7"]);
    }

    #[test]
    fn changes_are_passed_on() {
        let mut watch = Watch::after_a_first_list();
        assert_eq!(watch.tell(Event::Apply(object("a", "1", 3))), ["applied a/1@3"]);
        assert_eq!(watch.tell(Event::Delete(object("a", "1", 4))), ["deleted a/1@4"]);
    }
}
