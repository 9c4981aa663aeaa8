//! Checks that each resource ended as it should, by its status and, independently, by the requests that Cognigy.AI received.

use crate::releases::{Ending, Settlement};
use crate::rollouts::{AppliedRelease, ReleaseState};
use crate::timeline::Timeline;
use api::ConditionType;
use api::condition::ConditionSet;
use serde_json::Value;
use simulator::{Call, RequestRecord, Violation, WorldHandle};
use std::fmt::Debug;

/// All differences from the expected end. Empty if there are none.
pub fn differences(all_applied: &[AppliedRelease], timeline: &Timeline, platform: &WorldHandle) -> Vec<String> {
    let mut found = Vec::new();
    for applied in all_applied {
        let of_release = match (&applied.release.ending, &applied.state) {
            (Ending::Refused { because }, ReleaseState::Refused(message)) if message.contains(because) => Vec::new(),
            (Ending::Refused { because }, ReleaseState::Refused(message)) => {
                vec![format!("it was refused, but the message does not contain \"{because}\": {message}")]
            }
            (Ending::Refused { .. }, ReleaseState::Accepted(_)) => {
                vec!["the API server accepted it, but should have refused it".to_owned()]
            }
            (Ending::Settled(_), ReleaseState::Refused(message)) => {
                vec![format!("the API server refused it: {message}")]
            }
            (Ending::Settled(settlement), ReleaseState::Accepted(_)) => {
                let mut found = in_the_cluster(settlement, applied);
                found.extend(at_the_platform(settlement, applied, timeline));
                found
            }
        };
        found.extend(of_release.into_iter().map(|difference| format!("{}: {difference}", applied.release.name)));
    }
    found.extend(against_the_contract(platform));
    found
}

fn in_the_cluster(settlement: &Settlement, applied: &AppliedRelease) -> Vec<String> {
    let status = match &applied.state {
        ReleaseState::Accepted(object) => object.status.clone().unwrap_or_default(),
        ReleaseState::Refused(_) => return Vec::new(),
    };
    let ready = status.conditions.find(ConditionType::Ready);
    let mut found = Vec::new();
    compare(&mut found, "its phase", shown(status.phase), shown(Some(settlement.phase)));
    compare(&mut found, "Ready", shown(ready.map(|ready| ready.status)), shown(Some(settlement.ready)));
    compare(&mut found, "Ready's reason", shown(ready.map(|ready| ready.reason)), shown(Some(settlement.reason)));
    let is_delivered = status.conditions.is_true(ConditionType::Delivered) && status.outbox.is_empty();
    compare(&mut found, "whether every message was delivered", is_delivered, true);
    found
}

fn at_the_platform(settlement: &Settlement, applied: &AppliedRelease, timeline: &Timeline) -> Vec<String> {
    let of = |call| timeline.requests(applied).filter(move |request| request.call == Some(call));
    let fields = |call, field| of(call).map(|request| field_of(request, field)).collect::<Vec<_>>();
    let received = timeline.requests(applied).filter_map(|request| request.call);
    let decisive = received.filter(|call| matches!(call, Call::Validate | Call::Trace | Call::Submit | Call::Rollback));
    let audited = settlement.audited_success.map(|success| success.to_string());
    let notified = vec![settlement.webhook_success.to_string()];
    let mut found = Vec::new();
    compare(&mut found, "the list of calls to Cognigy.AI", decisive.collect(), settlement.calls.to_vec());
    compare(
        &mut found,
        "the success in the audit records",
        fields(Call::Audit, "deploymentSuccess"),
        Vec::from_iter(audited),
    );
    compare(&mut found, "the success in the webhook events", fields(Call::Webhook, "success"), notified);
    for reason in fields(Call::Rollback, "reason") {
        compare(&mut found, "the reason of the rollback", reason.as_str(), r#""health_check_failure""#);
    }
    found
}

/// The simulator checks every request exactly.
fn against_the_contract(platform: &WorldHandle) -> Vec<String> {
    platform.with(|world| {
        let violation = |violation: &Violation| {
            format!("request {} violates the contract: {}", violation.sequence, violation.message)
        };
        world.violations().map(violation).collect()
    })
}

/// A field of a request's body, as JSON.
fn field_of(request: &RequestRecord, field: &str) -> String {
    let value = request.body.as_ref().and_then(|body| body.get(field));
    value.map_or_else(|| "missing".to_owned(), Value::to_string)
}

fn shown(value: Option<impl Debug>) -> String {
    value.map_or_else(|| "missing".to_owned(), |value| format!("{value:?}"))
}

fn compare<T: Debug + PartialEq>(found: &mut Vec<String>, what: &str, is: T, should_be: T) {
    if is != should_be {
        found.push(format!("{what} is {is:?}, but should be {should_be:?}"));
    }
}
