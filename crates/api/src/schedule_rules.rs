//! The rules of a schedule, for the API server. They accept what the operator can read, except for days that do not exist, such as 30
//! February. A test compares the two.
//!
//! The pattern of a field lists its values, so that a rule costs the API server one match. No pattern has a backslash, so that none is
//! escaped.

/// Five fields with spaces between them.
pub(crate) const FIVE_FIELDS: &str = "self.matches('^[^ ]+( +[^ ]+){4}$')";

/// Day of month or day of week is `*`.
pub(crate) const ONE_DAY_FIELD: &str = "self.matches('^[^ ]+ +[^ ]+ +[*] ') || self.matches(' [*]$')";

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
/// In the order of ranges: a Sunday that begins a range is the first day, one that ends it the last.
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

pub(crate) fn minute() -> String {
    field(0, "[0-5]?[0-9]", "0?[1-9]|[1-5][0-9]", &[])
}

pub(crate) fn hour() -> String {
    field(1, "[01]?[0-9]|2[0-3]", "0?[1-9]|1[0-9]|2[0-3]", &[])
}

pub(crate) fn day_of_month() -> String {
    let values = "0?[1-9]|[12][0-9]|3[01]";
    field(2, values, values, &[])
}

pub(crate) fn month() -> String {
    let values = "0?[1-9]|1[0-2]";
    field(3, values, values, &MONTHS)
}

pub(crate) fn day_of_week() -> String {
    field(4, "0?[0-7]", "0?[1-7]", &WEEKDAYS)
}

/// The field after `before` others: a list of `*`, values and ranges, each with or without a step.
fn field(before: usize, values: &str, steps: &str, names: &[&str]) -> String {
    let names = match names {
        [] => String::new(),
        names => format!("|({0})(-({0}))?", names.join("|")),
    };
    let item = format!("([*]|({values})(-({values}))?{names})(/({steps}))?");
    let others = "[^ ]+ +".repeat(before);
    format!("self.matches('^{others}{item}(,{item})*( |$)')")
}

/// No range descends. This matches a descending one, of two numbers or two names.
pub(crate) fn ranges_ascend() -> String {
    let tens = ["[1-5][0-9]-0?[0-9]", "[2-5][0-9]-1[0-9]", "[3-5][0-9]-2[0-9]", "[45][0-9]-3[0-9]", "5[0-9]-4[0-9]"];
    let mut descending: Vec<String> = tens.map(str::to_owned).to_vec();
    for ten in ["0?", "1", "2", "3", "4", "5"] {
        descending.extend((1..=9).map(|one| format!("{ten}{one}-{ten}[0-{}]", one - 1)));
    }
    let months = (1..MONTHS.len()).map(|end| (&MONTHS[..end], MONTHS[end]));
    let weekdays = (2..WEEKDAYS.len()).map(|end| (&WEEKDAYS[1..end], WEEKDAYS[end]));
    descending.extend(months.chain(weekdays).map(|(before, name)| format!("{name}-({})", before.join("|"))));
    format!("!self.matches('(^|[ ,])({})($|[ ,/])')", descending.join("|"))
}
