//! Prints a CycloneDX bill of what is linked into the operator, for one target: `cargo run -p sbom -- [TARGET]`.
//!
//! The same lock file gives the same bytes: there is no time and no random number in it.

mod bill;
mod graph;

use std::io::Write;
use std::process::ExitCode;

/// What the image is built for, where nothing else is said.
const TARGET: &str = "x86_64-unknown-linux-musl";

fn main() -> ExitCode {
    let target = std::env::args().nth(1).unwrap_or_else(|| TARGET.to_owned());
    let bill = graph::Graph::read(&target).map(|graph| bill::bill(&graph));
    let written = bill.and_then(|bill| {
        writeln!(std::io::stdout(), "{bill:#}").map_err(|source| graph::Error::System { action: "print", source })
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell where this fails.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}
