//! What people see: colour, tables, and data for programs.

mod data;
mod sanitize;
mod screen;
mod table;
mod terminal;
mod time;

pub use data::{DataFormat, ObjectFormat};
pub use sanitize::{json as safe_json, one_line};
pub use screen::Screen;
pub use table::{Cell, Table, fit, paragraph};
pub use terminal::{Style, Terminal};
pub use time::{age, clock_time, short_duration};
