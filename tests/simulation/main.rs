//! The operator under simulated worlds.

mod model;
