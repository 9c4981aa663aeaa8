//! Faults of the API: every call of the contract with every kind of fault, and receivers that are down for a long time.
//!
//! `docs/faults.md` is written from the same table.

mod cell;
mod hangs;
mod kind;
mod outbox;
mod page;
mod pauses;
mod table;
mod tokens;

pub use kind::is;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use cell::{Person, Seen};
use kind::Kind;
use simulator::Call;
use table::{Row, TABLE};

use crate::trials::{Report, for_all};

/// One cell of the table, and what a person does in it.
struct Cell {
    call: Call,
    kind: Kind,
    row: &'static Row,
    person: Option<Person>,
}

/// Every cell. If a person must act in it, it is played once without a person, and once for each possible action.
fn cells() -> Vec<Cell> {
    let rows = TABLE.iter().flat_map(|(call, rows)| rows.iter().map(move |row| (*call, row)));
    let cells = rows.flat_map(|(call, row)| row.kinds.iter().map(move |kind| (call, *kind, row)));
    let played = |(call, kind, row): (Call, Kind, &'static Row)| {
        let persons = std::iter::once(None).chain(row.ends.persons.iter().copied().map(Some));
        persons.map(move |person| Cell { call, kind, row, person })
    };
    cells.flat_map(played).collect()
}

#[test]
fn the_table_has_each_call_with_each_kind_of_fault() {
    for (call, rows) in TABLE {
        let kinds: Vec<Kind> = rows.iter().flat_map(|row| row.kinds.iter().copied()).collect();
        let distinct: BTreeSet<Kind> = kinds.iter().copied().collect();
        assert_eq!(kinds.len(), distinct.len(), "{call:?}: a kind of fault is in two rows");
        let missing: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| !distinct.contains(kind)).collect();
        assert_eq!(missing, [], "{call:?}");
    }
}

#[test]
fn every_fault_of_the_api_ends_as_the_table_says() {
    let cells = cells();
    let failures = Mutex::new(Vec::new());
    for_all(&cells, |cell| {
        let seen = cell::play(cell.call, cell.kind, cell.person);
        let wrong = judged(cell, &seen);
        if !wrong.is_empty() {
            let text = format!("{:?} {:?} {:?}: {wrong:#?}", cell.call, cell.kind, cell.person);
            failures.lock().unwrap_or_else(PoisonError::into_inner).push((seen.story, text));
        }
        Report { runs: 1, ..Report::default() }
    });
    let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.sort_by_key(|(story, _)| story.len());
    let text: Vec<&str> = failures.iter().map(|(_, text)| text.as_str()).collect();
    let shortest = failures.first().map(|(story, _)| story.as_str()).unwrap_or_default();
    println!("{} runs", cells.len());
    assert!(failures.is_empty(), "{}\n{shortest}\n{} of {} runs", text.join("\n"), text.len(), cells.len());
}

/// Compares the observations of a cell with the table, and returns the differences.
fn judged(cell: &Cell, seen: &Seen) -> Vec<String> {
    let mut wrong = seen.wrong.clone();
    let mut must = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    must(seen.during == Some(cell.row.shows), format!("it shows {:?}", seen.during));
    let ends = cell.row.ends;
    let needs_a_person = !ends.persons.is_empty();
    if needs_a_person {
        let after = seen.after.map(|shows| (shows.ready, shows.state));
        let during = Some((cell.row.shows.ready, cell.row.shows.state));
        must(after == during, format!("without a person it shows {:?}", seen.after));
    }
    if needs_a_person == cell.person.is_some() {
        must(seen.rests, "it never comes to rest".to_owned());
        let outcomes: Vec<_> = ends.outcomes.iter().copied().map(Some).collect();
        must(seen.outcomes == outcomes, format!("it ends as {:?}", seen.outcomes));
        must(seen.end.map(|shows| shows.ready) == Some(ends.shows), format!("at the end it shows {:?}", seen.end));
        let runs = if ends.shows == api::Reason::Succeeded { "2" } else { "1" };
        must(seen.runs == runs, format!("the environment runs {}", seen.runs));
    }
    wrong
}
