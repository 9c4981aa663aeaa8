//! The four resources of the demo, and what each has to come to.

use api::Reason;
use api::condition::ConditionStatus;
use api::status::Phase;
use simulator::Call;

/// The namespace of all four.
pub const NAMESPACE: &str = "bots";

/// One resource.
pub struct Role {
    /// The resource's name, which is also the name of its webhook.
    pub name: &'static str,
    /// The environment that it deploys to.
    pub environment: &'static str,
    /// The resource as a user would write it.
    pub manifest: &'static str,
    /// What it shows, in a few words.
    pub shows: &'static str,
    /// What it has to come to.
    pub ending: Ending,
}

/// What becomes of a resource.
pub enum Ending {
    /// The API server refuses it, with these words in its message.
    Refused {
        /// The words.
        because: &'static str,
    },
    /// The operator takes it to an end.
    Settled(Settlement),
}

/// How an attempt has to end, on both sides: in the resource's status, and at Cognigy.AI.
pub struct Settlement {
    /// The phase.
    pub phase: Phase,
    /// The status of the condition Ready.
    pub ready: ConditionStatus,
    /// The reason of the condition Ready.
    pub reason: Reason,
    /// The calls that change or decide something, each exactly so often and in this order: nothing is submitted
    /// unchecked or twice, nothing is rolled back without a reason.
    pub calls: &'static [Call],
    /// What the audit log was told of the deployment's success, once; nothing where nothing was submitted.
    pub audited_success: Option<bool>,
    /// What the CI/CD webhook was told of it, once.
    pub announced_success: bool,
}

/// Everybody, in the order of appearance.
pub const CAST: [Role; 4] = [
    Role {
        name: "customer-service-prod",
        environment: "env_prod_us_01",
        manifest: include_str!("resources/customer-service-prod.yaml"),
        shows: "a good release: it succeeds",
        ending: Ending::Settled(Settlement {
            phase: Phase::Succeeded,
            ready: ConditionStatus::True,
            reason: Reason::Succeeded,
            calls: &[Call::Validate, Call::Trace, Call::Submit],
            audited_success: Some(true),
            announced_success: true,
        }),
    },
    Role {
        name: "customer-service-canary",
        environment: "env_canary_us_01",
        manifest: include_str!("resources/customer-service-canary.yaml"),
        shows: "a bad release: health goes bad, and it is rolled back",
        ending: Ending::Settled(Settlement {
            phase: Phase::RolledBack,
            ready: ConditionStatus::False,
            reason: Reason::RolledBack,
            calls: &[Call::Validate, Call::Trace, Call::Submit, Call::Rollback],
            audited_success: Some(false),
            announced_success: false,
        }),
    },
    Role {
        name: "voice-assistant",
        environment: "env_voice_eu_01",
        manifest: include_str!("resources/voice-assistant.yaml"),
        shows: "a dependency conflict: it is never submitted",
        ending: Ending::Settled(Settlement {
            phase: Phase::Failed,
            ready: ConditionStatus::False,
            reason: Reason::TraceNotPassed,
            calls: &[Call::Validate, Call::Trace],
            audited_success: None,
            announced_success: false,
        }),
    },
    Role {
        name: "floating-versions",
        environment: "env_staging_us_01",
        manifest: include_str!("resources/floating-versions.yaml"),
        shows: "a mistake in the resource: the API server refuses it",
        ending: Ending::Refused { because: "a pinned lock needs an exact version" },
    },
];
