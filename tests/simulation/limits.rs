//! What is not promised: each limit is shown by a story, so that the page that tells of it stays true.

use cognigy_operator::simulator::Call;

use super::director::run;
use super::fault::Plan;
use super::promises;
use super::scenario::{CLIENT_SECRET, Cue, NEXT_CLIENT_SECRET, Scenario, credentials_of, operator_down};

/// A platform keeps a client's keys apart from another client's: what was sent by one is news from the other.
#[test]
fn another_client_in_the_middle_of_a_submit_can_submit_twice() {
    let mut story = Scenario::new("another client in the middle of a submit", "")
        .creating(|_| {})
        .when(Cue::Asked(Call::Submit, 1), credentials_of("next", NEXT_CLIENT_SECRET))
        .when(Cue::Asked(Call::Submit, 1), operator_down(5));
    let clients = format!(
        "clients: [{{clientId: demo, clientSecret: {CLIENT_SECRET}}}, {{clientId: next, clientSecret: {NEXT_CLIENT_SECRET}}}]\n"
    );
    story.platform.insert_str(0, &clients);
    let broken = promises::broken(&story, &run(&story, &Plan::new()));
    assert!(broken.iter().any(|broken| broken.promise == "S1"), "{broken:?}");
}
