//! An object of a small kind, as a watch shows it. An object that cannot be read does not stop the watch of all others.

use super::super::received::MetadataOnly;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;

/// The largest object that is read, in bytes. The schemas of the kinds allow less.
const MAX_BYTES: usize = 128 * 1024;

/// An object of the kind `K`.
#[derive(Clone, Debug)]
pub struct WatchedObject<K> {
    /// Its identifying metadata.
    pub metadata: ObjectMeta,
    /// The object, or why it cannot be read.
    pub content: Result<Arc<K>, Arc<str>>,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for WatchedObject<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let metadata = serde_json::from_str::<MetadataOnly>(text.get()).map_err(D::Error::custom)?.metadata;
        let content = match text.get().len() <= MAX_BYTES {
            true => serde_json::from_str(text.get()).map(Arc::new).map_err(|error| error.to_string().into()),
            false => Err(format!("it has {} bytes; at most {MAX_BYTES} are read", text.get().len()).into()),
        };
        let ObjectMeta { name, namespace, uid, resource_version, generation, creation_timestamp, .. } = metadata.into();
        let metadata = ObjectMeta {
            name,
            namespace,
            uid,
            resource_version,
            generation,
            creation_timestamp,
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, content })
    }
}

impl<K: Resource<DynamicType = ()>> Resource for WatchedObject<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
