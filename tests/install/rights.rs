//! What no way to install it grants: the Secrets that there are are nobody's to learn by this operator, and nothing is granted wholesale.

use crate::manifest::{Manifest, OVERLAYS, sets_of_values, words};

#[tokio::test]
async fn no_installation_grants_more_of_secrets_than_to_get_one_by_its_name() {
    let mut grants = 0;
    for file in sets_of_values() {
        grants += of_secrets(&file, &Manifest::of_values(&file).await);
    }
    for folder in OVERLAYS {
        grants += of_secrets(folder, &Manifest::of_folder(folder).await);
    }
    assert!(grants >= OVERLAYS.len(), "each installation lets Secrets be read by name: {grants}");
}

/// How many rules grant anything of Secrets, each of them nothing but to get one.
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
            assert!(!all.iter().any(|word| word.contains('*')), "{what}: {role} grants something wholesale: {rule}");
        }
        if resources.iter().any(|resource| resource.starts_with("secrets")) {
            assert_eq!(verbs, ["get"], "{what}: {role} grants {rule}");
            grants += 1;
        }
    }
    grants
}
