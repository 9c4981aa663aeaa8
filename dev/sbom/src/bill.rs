//! The bill, in the form of CycloneDX 1.6 (<https://cyclonedx.org/docs/1.6/json/>).

use crate::graph::{Graph, Package};
use serde_json::{Value, json};

/// What is in the image, and which part needs which.
pub fn bill(graph: &Graph) -> Value {
    let names = |id: &String| -> Option<String> {
        let mut all = graph.packages.iter().chain([&graph.root]);
        all.find(|package| package.id == *id).map(purl)
    };
    let mut dependencies: Vec<Value> = graph
        .needs
        .iter()
        .filter_map(|(id, needs)| {
            let mut needs: Vec<String> = needs.iter().filter_map(names).collect();
            needs.sort();
            Some(json!({"ref": names(id)?, "dependsOn": needs}))
        })
        .collect();
    dependencies.sort_by_key(|entry| entry["ref"].as_str().unwrap_or_default().to_owned());
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component(graph, &graph.root, "application")},
        "components": graph.packages.iter().map(|package| component(graph, package, "library")).collect::<Vec<_>>(),
        "dependencies": dependencies,
    })
}

fn component(graph: &Graph, package: &Package, kind: &str) -> Value {
    let purl = purl(package);
    let mut component = json!({
        "type": kind, "bom-ref": purl, "name": package.name, "version": package.version, "purl": purl,
    });
    if let Some(license) = &package.license {
        // Some old manifests still write a slash for "or".
        component["licenses"] = json!([{"expression": license.replace('/', " OR ")}]);
    }
    if let Some(checksum) = graph.checksums.get(&(package.name.clone(), package.version.clone())) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    component
}

/// The package's name for everybody (<https://github.com/package-url/purl-spec>).
fn purl(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version.replace('+', "%2B"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn names(bill: &Value) -> BTreeSet<&str> {
        bill["components"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn what_is_linked_is_in_the_bill_and_what_only_tests_need_is_not() {
        let bill = bill(&Graph::read("x86_64-unknown-linux-musl").unwrap());
        let names = names(&bill);
        for linked in ["kube", "rustls", "ring", "tokio", "hyper", "serde"] {
            assert!(names.contains(linked), "{linked} is missing");
        }
        for absent in ["proptest", "stateright", "control-plane", "cognigy-operator", "windows-sys"] {
            assert!(!names.contains(absent), "{absent} is not in the image");
        }
        assert_eq!(bill["metadata"]["component"]["name"], "cognigy-operator");
    }

    #[test]
    fn every_part_has_its_checksum_and_licence_and_needs_only_parts_that_are_listed() {
        let bill = bill(&Graph::read("x86_64-unknown-linux-musl").unwrap());
        let components = bill["components"].as_array().unwrap();
        for component in components {
            let is_own = component["name"].as_str().unwrap().starts_with("cognigy-");
            assert!(component["licenses"][0]["expression"].is_string(), "{component}");
            if is_own {
                continue;
            }
            assert_eq!(component["hashes"][0]["content"].as_str().unwrap().len(), 64, "{component}");
        }
        let known: BTreeSet<&str> = components.iter().map(|it| it["bom-ref"].as_str().unwrap()).collect();
        assert_eq!(known.len(), components.len(), "each part once");
        let dependencies = bill["dependencies"].as_array().unwrap();
        assert_eq!(dependencies.len(), components.len() + 1, "those of each part, and of the operator");
        for needed in dependencies.iter().flat_map(|entry| entry["dependsOn"].as_array().unwrap()) {
            assert!(known.contains(needed.as_str().unwrap()), "{needed}");
        }
    }
}
