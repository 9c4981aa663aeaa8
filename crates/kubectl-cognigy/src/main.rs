//! `kubectl cognigy` shows people what runs and why, and gives pipelines a verdict.
//!
//! The plugin reads and writes the same resources as `kubectl`, with the caller's own rights. It needs nothing from the
//! operator but the status that the operator writes.

#![forbid(unsafe_code)]

mod arguments;
mod commands;
mod connection;
mod exit;
mod output;
#[cfg(test)]
mod pages;
mod view;
mod waiting;

use arguments::Arguments;
use clap::Parser;
use exit::Exit;
use output::Terminal;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help and the version are no errors, and go to stdout.
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Succeeded };
            // If nobody reads the message, the exit code still says what it says.
            error.print().ok();
            return exit.into();
        }
    };
    let terminal = Terminal::detect(arguments.global.color);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return terminal.fail(&error.into()),
    };
    match runtime.block_on(commands::run(&arguments, &terminal)) {
        Ok(exit) => exit.into(),
        Err(failure) => terminal.fail(&failure),
    }
}
