//! All tokens become invalid while a rollout is in flight, and the token endpoint grants no new one.

use std::sync::Arc;

use api::status::{Outcome, Step};
use serde_json::json;
use simulator::Call;

use super::cell::{breaks, excessive_requests, faults_removed};
use super::kind::Kind;
use crate::director::run;
use crate::end;
use crate::fault::Plan;
use crate::promises;
use crate::scenario::{Action, Cue, Scenario, tokens_revoked};

/// When the token endpoint works again, in seconds.
const MENDED_AT: u64 = 400;

/// The maximum number of requests to the platform in any minute. Health and the audit log are called at the same time,
/// and each refusal causes a token request and a second try.
const MAX_A_MINUTE: usize = 30;

/// Makes all tokens invalid. The token endpoint grants no new one.
fn locked_out(kind: Kind) -> Action {
    let (revoked, broken) = (tokens_revoked(), breaks(Call::Token, kind));
    let act = move |stage: &mut crate::stage::Stage| {
        (revoked.act)(stage);
        (broken.act)(stage);
    };
    Action { name: format!("no token is any good: {kind:?}"), act: Arc::new(act) }
}

#[test]
fn a_rollout_without_a_valid_token_at_any_step_ends_by_itself() {
    let steps = [
        (Step::Submitting, Outcome::Succeeded),
        (Step::RollingOut, Outcome::Succeeded),
        (Step::Monitoring, Outcome::RolledBack),
        (Step::RollingBack, Outcome::RolledBack),
        (Step::VerifyingRollback, Outcome::RolledBack),
    ];
    for (step, outcome) in steps {
        for kind in [
            Kind::UnauthorizedOnce,
            Kind::Forbidden,
            Kind::NoConnection,
            Kind::TimeOut,
            Kind::NotJson,
            Kind::WrongValue,
        ] {
            // If a submit with a fresh token is answered 401 as well, it is refused: nothing is in flight (contract,
            // "Errors").
            let outcome = if (step, kind) == (Step::Submitting, Kind::WrongValue) { Outcome::Failed } else { outcome };
            let environment = if outcome == Outcome::RolledBack { "    deploymentsAreUnhealthy: true\n" } else { "" };
            let runs = if outcome == Outcome::Succeeded { "2" } else { "1" };
            let scenario = Scenario::new("locked out", environment)
                .creating(|object| object["spec"]["rollbackPolicy"]["timeoutSeconds"] = json!(900))
                .when(Cue::Written(step), locked_out(kind))
                .at(MENDED_AT, faults_removed())
                .ending(&[outcome], runs);
            let run = run(&scenario, &Plan::new());
            let label = format!("{step:?} {kind:?}");
            let story: String = run.story.iter().map(|entry| format!("{entry}\n")).collect();
            assert_eq!(excessive_requests(&run, MENDED_AT, MAX_A_MINUTE), Vec::<String>::new(), "{label}\n{story}");
            assert_eq!(promises::broken(&scenario, &run), [], "{label}\n{story}");
            let end = end::of(&scenario, &run);
            assert!(end.rests, "{label}");
            assert_eq!(end.resources.get("web"), scenario.ends.first().map(|(_, ending)| ending), "{label}\n{story}");
        }
    }
}
