//! The client id changes while a submit is unanswered. A platform stores idempotency keys for each client separately,
//! so a repeat by another client would be a new submit.

use api::status::Outcome;
use simulator::Call;

use super::director::{Run, run};
use super::end;
use super::fault::{Fault, Plan};
use super::promises;
use super::scenario::{CLIENT_SECRET, Cue, Ending, NEXT_CLIENT_SECRET, Scenario, credentials_of, operator_down};
use super::trials::failure;

fn another_client_in_the_middle_of_a_submit() -> Scenario {
    let mut story = Scenario::new("another client in the middle of a submit", "")
        .creating(|_| {})
        .when(Cue::RequestReceived(Call::Submit, 1), credentials_of("next", NEXT_CLIENT_SECRET))
        .when(Cue::RequestReceived(Call::Submit, 1), operator_down(5));
    let clients = format!(
        "clients: [{{clientId: demo, clientSecret: {CLIENT_SECRET}}}, {{clientId: next, clientSecret: {NEXT_CLIENT_SECRET}}}]\n"
    );
    story.platform.insert_str(0, &clients);
    story.ends = vec![("web", Ending::default())];
    story
}

fn judged(story: &Scenario, plan: &Plan) -> Run {
    let run = run(story, plan);
    let broken = promises::broken(story, &run);
    assert!(broken.is_empty(), "{}", failure(story, plan.clone(), broken, &run));
    run
}

#[test]
fn another_client_in_the_middle_of_a_submit_submits_nothing_twice() {
    let story = another_client_in_the_middle_of_a_submit();
    let without_faults = judged(&story, &Plan::new());
    assert_eq!(end::of(&story, &without_faults).resources["web"].outcomes, [Some(Outcome::Unknown)]);
    let submit = without_faults.ios.iter().position(|io| io.what.ends_with("/deployments")).unwrap_or_default();
    for (index, io) in without_faults.ios.iter().enumerate().skip(submit).take(3) {
        for fault in Fault::ALL.into_iter().filter(|fault| fault.can_hit(io)) {
            judged(&story, &Plan::from([(index, fault)]));
        }
    }
}
