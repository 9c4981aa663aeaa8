//! Writes `docs/faults.md` from the table, and tests that the page is up to date.

use std::fmt::Write as _;
use std::path::Path;

use simulator::Call;

use super::cell::{KstatusState, MENDED_AT, Person, Shows};
use super::table::{Ends, TABLE};

const HEAD: &str = "\
# What happens when a call fails

Every call to Cognigy.AI, and every call of a webhook, can fail in many ways. For each call and each fault, this page
says what the resource shows while the fault lasts, and how the rollout goes on once the call works again.

Each row is tested. The test runs the operator's real reconcile in virtual time. The platform has the fault for four
minutes, and works from then on. No fault stops the operator for good. No fault makes it ask without a pause (at most 20
requests in any minute), or misread an answer. `cargo test --test simulation faults` runs all these tests. This page is
written from their code, and a test fails if the two differ (`UPDATE_DOCS=1` writes the page again).

## How to read the tables

- **Fault**: a number is the HTTP status of the answer.
- **What the resource shows** begins with its state and the reason of the condition `Ready`. The state is one of these:
  - Ready;
  - Reconciling: the operator is at work, or tries again by itself;
  - Stalled: a person is needed.

  If a condition belongs to the call, its type, status and reason follow.
- **How it ends** says what you must do once the call works again, and the outcome after that. \"By itself\" means that
  you need to do nothing. If there are two outcomes, the second one is that of the next attempt.

The reason of `Ready` is in the column `REASON` of `kubectl get cognigydeployments -o wide`. `kubectl describe` shows all
conditions. The message of a condition names the call that fails, and repeats the API's own words.
[conditions.md](conditions.md) explains every reason, and [troubleshooting.md](troubleshooting.md) says what to do about
each.
";

const TAIL: &str = "
## Rules for every call

- **Tries.** If a call gets no answer, the operator tries up to three times within the call. Then it tries again after
  pauses that grow from 2 seconds to 5 minutes. For a rollback, they grow to 30 seconds; for a delivery, to 10 minutes.
- **`Retry-After`.** The operator obeys it, within bounds, for all requests of the same client. It tries a rollback again
  in less than a minute. It asks again about a rollout in flight after 2 minutes at the latest, and tries everything else
  again after 10.
- **Limits.** The operator reads at most 1 MiB of an answer, and never fetches the rest. It follows no redirect. A call
  ends after 30 seconds, a token request after 15 and a webhook after 10, however slowly the answer arrives.
- **401.** The operator discards the token, and tries the call once more with a new one. The second 401 is the answer.
- **Answers that cannot be read.** They never count as bad answers, neither for the job nor for health. The deadline
  (`timeoutSeconds`) still runs. It becomes a verdict when a question that was sent after it gets no good answer.
- **Questions that were not sent.** A question is not sent if the API asked for a pause, or if the operator has no token
  or gets no connection. Then there is no answer that could count. The operator asks again an interval later. Past the
  deadline the resource is Stalled, because a person should know. The first answer decides.
- **Submits.** A submit is repeated only under the key of its intent. So a lost answer never starts a second rollout.
- **Deliveries.** If the audit log or a webhook fails, the outcome of the rollout stays the same, and the next rollout does
  not wait. The operator offers a message for 72 hours. Then it writes the whole message to its log, and publishes a
  Warning.
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
    let state = match shows.state {
        KstatusState::Ready => "Ready",
        KstatusState::Reconciling => "Reconciling",
        KstatusState::Stalled => "Stalled",
    };
    let story =
        shows.story.map(|(condition_type, status, reason)| format!("; {condition_type} {status:?}, `{reason}`"));
    format!("{state}, `{}`{}", shows.ready, story.unwrap_or_default())
}

fn end(ends: Ends) -> String {
    let act = |person: &Person| match person {
        Person::Retries => "set the annotation `deploy.cognigy.ai/retry` to a new value",
        Person::ChangesTheSecret => "correct the Secret",
        Person::AsksForTheRollback => "set the annotation `deploy.cognigy.ai/rollback` to a new value",
    };
    let acts: Vec<&str> = ends.persons.iter().map(act).collect();
    let outcomes: Vec<&str> = ends.outcomes.iter().map(|outcome| outcome.as_str()).collect();
    let outcomes = outcomes.join(", then ");
    match acts.is_empty() {
        true => format!("by itself: {outcomes}"),
        false => format!("{}: {outcomes}", acts.join(", or ")),
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (call, rows) in TABLE {
        // Writing into a String cannot fail.
        let _ =
            writeln!(page, "\n## {}\n\n| fault | what the resource shows | how it ends |\n|---|---|---|", title(call));
        for row in rows {
            let kinds: Vec<String> = row.kinds.iter().map(|kind| kind.words(call)).collect();
            let _ = writeln!(page, "| {} | {} | {} |", kinds.join("; "), seen(row.shows), end(row.ends));
        }
    }
    page + TAIL
}

#[test]
fn the_page_about_faults_matches_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/faults.md differs from the table; write it again: UPDATE_DOCS=1 cargo test --test simulation page"
    );
}

// The page says "four minutes".
const _: () = assert!(MENDED_AT == 240);
