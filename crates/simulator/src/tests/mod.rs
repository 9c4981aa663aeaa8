//! Tests of the platform's rules, with the contract's own requests.

mod documents;
mod environments;
mod platform;
mod repeats;
mod stage;
mod wire_faults;
