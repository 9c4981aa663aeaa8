//! No way to install the operator lets it list or watch Secrets, or grants a wildcard.

use crate::manifest::{Manifest, OVERLAYS, sets_of_values, words};

#[tokio::test]
async fn every_installation_grants_only_get_on_secrets() {
    let mut grants = 0;
    for file in sets_of_values() {
        grants += of_secrets(&file, &Manifest::of_values(&file).await);
    }
    for folder in OVERLAYS {
        grants += of_secrets(folder, &Manifest::of_folder(folder).await);
    }
    assert!(grants >= OVERLAYS.len(), "each installation lets Secrets be read by name: {grants}");
}

/// Checks that every rule about Secrets grants only `get`, and returns the number of such rules.
fn of_secrets(what: &str, manifest: &Manifest) -> usize {
    let roles = manifest.of_kind("ClusterRole").chain(manifest.of_kind("Role"));
    let rules = roles.flat_map(|role| {
        let rules = role["rules"].as_array().unwrap_or_else(|| panic!("{what}: {role} has no rules of its own"));
        rules.iter().map(|rule| (role["metadata"]["name"].clone(), rule))
    });
    let mut grants = 0;
    for (role, rule) in rules {
        let (groups, resources, verbs) = (words(&rule["apiGroups"]), words(&rule["resources"]), words(&rule["verbs"]));
        for all in [&groups, &resources, &verbs] {
            assert!(!all.iter().any(|word| word.contains('*')), "{what}: {role} grants a wildcard: {rule}");
        }
        if resources.iter().any(|resource| resource.starts_with("secrets")) {
            assert_eq!(verbs, ["get"], "{what}: {role} grants {rule}");
            grants += 1;
        }
    }
    grants
}
