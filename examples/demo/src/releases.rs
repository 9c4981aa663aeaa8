//! The four resources of the demo, and how each must end.

use api::Reason;
use api::condition::ConditionStatus;
use api::status::Phase;
use simulator::Call;

/// The namespace of all four. No page of the documentation uses it for anything else.
pub const NAMESPACE: &str = "cognigy-demo";
/// The Secret with the credentials for Cognigy.AI.
pub const CREDENTIALS: &str = "demo-api";
/// The Secret with the URLs of the CI/CD webhooks.
pub const WEBHOOKS: &str = "demo-webhooks";

/// One resource.
pub struct Release {
    /// The resource's name, which is also the name of its webhook.
    pub name: &'static str,
    /// The environment that it deploys to.
    pub environment: &'static str,
    /// The resource as a user would write it.
    pub manifest: &'static str,
    /// What it shows, in a few words.
    pub shows: &'static str,
    /// How it must end.
    pub ending: Ending,
}

/// The end of a resource.
pub enum Ending {
    /// The API server refuses it, with these words in its message.
    Refused {
        /// The words.
        because: &'static str,
    },
    /// The operator brings it to its end.
    Settled(Settlement),
}

/// How an attempt must end: in the resource's status, and at Cognigy.AI.
pub struct Settlement {
    /// The phase.
    pub phase: Phase,
    /// The status of the condition Ready.
    pub ready: ConditionStatus,
    /// The reason of the condition Ready.
    pub reason: Reason,
    /// The calls that change or decide something, in exactly this number and order. So nothing is submitted without checks or
    /// twice, and nothing is rolled back without a reason.
    pub calls: &'static [Call],
    /// The success that the one audit record states. `None` if nothing was submitted.
    pub audited_success: Option<bool>,
    /// The success that the one call of the CI/CD webhook states.
    pub webhook_success: bool,
}

/// All resources, in the order in which they are applied.
pub const RELEASES: [Release; 4] = [
    Release {
        name: "good-release",
        environment: "env_demo_us_01",
        manifest: include_str!("../resources/good-release.yaml"),
        shows: "a good release: it succeeds",
        ending: Ending::Settled(Settlement {
            phase: Phase::Succeeded,
            ready: ConditionStatus::True,
            reason: Reason::Succeeded,
            calls: &[Call::Validate, Call::Trace, Call::Submit],
            audited_success: Some(true),
            webhook_success: true,
        }),
    },
    Release {
        name: "bad-release",
        environment: "env_demo_us_02",
        manifest: include_str!("../resources/bad-release.yaml"),
        shows: "a bad release: health goes bad, and it is rolled back",
        ending: Ending::Settled(Settlement {
            phase: Phase::RolledBack,
            ready: ConditionStatus::False,
            reason: Reason::RolledBack,
            calls: &[Call::Validate, Call::Trace, Call::Submit, Call::Rollback],
            audited_success: Some(false),
            webhook_success: false,
        }),
    },
    Release {
        name: "dependency-conflict",
        environment: "env_demo_eu_01",
        manifest: include_str!("../resources/dependency-conflict.yaml"),
        shows: "a dependency conflict: it is never submitted",
        ending: Ending::Settled(Settlement {
            phase: Phase::Failed,
            ready: ConditionStatus::False,
            reason: Reason::TraceNotPassed,
            calls: &[Call::Validate, Call::Trace],
            audited_success: None,
            webhook_success: false,
        }),
    },
    Release {
        name: "floating-version",
        environment: "env_demo_eu_02",
        manifest: include_str!("../resources/floating-version.yaml"),
        shows: "a mistake in the resource: the API server refuses it",
        ending: Ending::Refused { because: "a pinned lock needs an exact version" },
    },
];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::fs;
    use std::path::Path;

    /// The resource that README's "first resource" applies. A reader may do that while the demo still runs.
    fn first_resource() -> Value {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/samples/first-resource.yaml");
        serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap()
    }

    fn manifests() -> [Value; 4] {
        RELEASES.map(|release| serde_saphyr::from_str(release.manifest).unwrap())
    }

    #[test]
    fn the_demo_and_the_first_resource_share_no_name() {
        let first = first_resource();
        for manifest in manifests() {
            for path in ["/metadata/namespace", "/metadata/name", "/spec/environmentId", "/spec/credentialsRef/name"] {
                assert!(first.pointer(path).is_some(), "the first resource has no field {path}");
                assert_ne!(manifest.pointer(path), first.pointer(path), "{path}");
            }
        }
    }

    #[test]
    fn every_manifest_names_only_objects_that_the_demo_creates() {
        for (release, manifest) in RELEASES.iter().zip(manifests()) {
            assert_eq!(manifest["metadata"]["name"], release.name);
            assert_eq!(manifest["metadata"]["namespace"], NAMESPACE, "{}", release.name);
            assert_eq!(manifest["spec"]["environmentId"], release.environment, "{}", release.name);
            assert_eq!(manifest["spec"]["credentialsRef"]["name"], CREDENTIALS, "{}", release.name);
            if let Some(key) = manifest["spec"].pointer("/webhook/urlFrom/secretKeyRef") {
                assert_eq!((&key["name"], &key["key"]), (&WEBHOOKS.into(), &release.name.into()), "{}", release.name);
            }
        }
    }
}
