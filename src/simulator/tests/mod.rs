//! The platform's rules, over the contract's own requests.

mod documents;
mod platform;
mod stage;
mod wire_faults;
