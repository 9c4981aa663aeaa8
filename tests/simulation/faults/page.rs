//! `docs/faults.md`: the table, for people.

use std::fmt::Write as _;
use std::path::Path;

use simulator::Call;

use super::cell::{MENDED_AT, Person, Shows, Standing};
use super::table::{Ends, TABLE};

const HEAD: &str = "\
# What the operator makes of the API's faults

Every call of Cognigy.AI can go wrong in many ways. This page tells, for each call and each fault, what the resource shows
while the fault lasts, and how the rollout goes on once the call works again. Look up `READY` and `STATUS` of
`kubectl get cognigydeployments`, or the conditions of `kubectl describe`; [conditions.md](conditions.md) explains every
reason, and [troubleshooting.md](troubleshooting.md) what to do about each.

Each line is a test: the operator's own reconcile is run in virtual time against a platform that has the fault for four
minutes, and then none. No fault makes the operator stand still for good, ask without a pause (at most 20 requests in
any minute), or take an answer for what it is not. `cargo test --test simulation faults` runs them all; a test keeps this
page as it is in the code (`UPDATE_DOCS=1` writes it anew).

What is seen comes in two parts: the reason of `Ready`, with `Reconciling` (the operator is at work, or tries again by
itself), `Stalled` (a person is needed) or `Ready`; then the condition that speaks of the call, where there is one. The
call that a fault hits shows in the message, in the API's own words.
";

const TAIL: &str = "
## What holds for every call

- A call without an answer is asked again: up to three tries in the call, then after pauses that grow from 2 seconds to 5
  minutes (a rollback: 30 seconds; a delivery: 10 minutes). `Retry-After` is obeyed, and slows everything that uses the
  same client, within bounds: a rollback is tried again in less than a minute, what is in flight is asked for again after
  2 minutes at the latest, and everything else is tried again after 10.
- An answer is read up to 1 MiB; the rest of a longer one is never fetched. No redirect is followed. A call ends after 30
  seconds, a token request after 15, a webhook after 10, however slowly its answer drips in.
- A 401 to a call throws the token away, and the call is tried once with a new one. The second 401 is the answer.
- An answer that cannot be read is never a bad one: neither the job nor health is condemned by it. The deadline
  (`timeoutSeconds`) still runs, and is a verdict once a question that was sent after it gets no good answer.
- A question that was not sent is not an answer: the operator holds it back because the API asked for a pause, has no
  token, or gets no connection. It is asked again an interval later. Past the deadline such a rollout is Stalled, because
  a person should know, and the first answer decides.
- A submit is repeated only under the key of its intent, so that a lost answer never starts a second rollout.
- An audit log or a webhook that fails never changes the outcome of a rollout, nor holds up the next one. A message is
  offered for 72 hours, then it is in the operator's log, whole, and a Warning says so.
";

fn title(call: Call) -> &'static str {
    match call {
        Call::Token => "Token",
        Call::Validate => "Validation",
        Call::Trace => "Synthetic trace",
        Call::Submit => "Submit",
        Call::Job => "Job",
        Call::Health => "Health",
        Call::Rollback => "Rollback",
        Call::Audit => "Audit log",
        Call::Webhook => "Webhook",
    }
}

fn seen(shows: Shows) -> String {
    let standing = match shows.standing {
        Standing::Ready => "Ready",
        Standing::Reconciling => "Reconciling",
        Standing::Stalled => "Stalled",
    };
    let story =
        shows.story.map(|(condition_type, status, reason)| format!("; {condition_type} {status:?}, `{reason}`"));
    format!("{standing}, `{}`{}", shows.ready, story.unwrap_or_default())
}

fn end(ends: Ends) -> String {
    let act = |person: &Person| match person {
        Person::Retries => "set the annotation `deploy.cognigy.ai/retry` to a new value",
        Person::ChangesTheSecret => "correct the Secret",
        Person::AsksForTheRollback => "set the annotation `deploy.cognigy.ai/rollback` to a new value",
    };
    let acts: Vec<&str> = ends.persons.iter().map(act).collect();
    let outcomes: Vec<&str> = ends.outcomes.iter().map(|outcome| outcome.as_str()).collect();
    let outcomes = outcomes.join(", the next ");
    match acts.is_empty() {
        true => format!("by itself: {outcomes}"),
        false => format!("{}: {outcomes}", acts.join(", or ")),
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (call, rows) in TABLE {
        // Writing into a String cannot fail.
        let _ = writeln!(page, "\n## {}\n\n| fault | what is seen | how it ends |\n|---|---|---|", title(call));
        for row in rows {
            let kinds: Vec<String> = row.kinds.iter().map(|kind| kind.words(call)).collect();
            let _ = writeln!(page, "| {} | {} | {} |", kinds.join("; "), seen(row.shows), end(row.ends));
        }
    }
    page + TAIL
}

#[test]
fn the_page_about_faults_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/faults.md is not what the table says: UPDATE_DOCS=1 cargo test --test simulation page"
    );
}

// The page speaks of four minutes.
const _: () = assert!(MENDED_AT == 240);
