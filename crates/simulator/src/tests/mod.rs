//! The platform's rules, over the contract's own requests.

mod documents;
mod environments;
mod platform;
mod repeats;
mod stage;
mod wire_faults;
