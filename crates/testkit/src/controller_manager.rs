//! The part of the controller-manager that tests need. A test's control plane has no controller-manager.

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use std::pin::pin;

/// Removes deleted namespaces, until the returned future is dropped. It deletes the Secrets of such a namespace first.
/// All other objects in it must be deleted by name.
pub async fn remove_deleted_namespaces(client: Client) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let changed = watcher(namespaces.clone(), watcher::Config::default()).default_backoff().applied_objects();
    let mut changed = pin!(changed);
    while let Some(event) = changed.next().await {
        let Ok(mut namespace) = event else { continue };
        let finalizers = namespace.spec.as_mut().and_then(|spec| spec.finalizers.take());
        if namespace.metadata.deletion_timestamp.is_some() && finalizers.is_some() {
            let name = namespace.name_any();
            let secrets: Api<Secret> = Api::namespaced(client.clone(), &name);
            let _ = secrets.delete_collection(&DeleteParams::default(), &ListParams::default()).await;
            // After a conflict the watch delivers the namespace again.
            let _ = namespaces.replace_subresource("finalize", &name, &PostParams::default(), &namespace).await;
        }
    }
}
