//! What people see: colour, tables, and data for programs.

mod data;
mod table;
mod terminal;
mod time;

pub use data::DataFormat;
pub use table::{Cell, Table};
pub use terminal::{Style, Terminal};
pub use time::{age, clock_time, short_duration};
