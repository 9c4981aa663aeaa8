//! Measures a fleet: the whole operator, a real API server, and a simulated platform that limits requests with an exact
//! sliding window.
//!
//! `cargo bench --bench fleet -- --help` lists the options. docs/performance.md has the results.

// A benchmark's output is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod failure;
mod figures;
mod fleet;
mod kubernetes;
mod measured;
mod network;
mod operator;
mod ordinary;
mod plan;
mod platform;
mod process;
mod report;
mod rest;
mod rollouts;
mod run;
mod saturated_process;
mod stage;
mod time;
mod yardstick;

use clap::Parser;
use failure::Failure;
use plan::Plan;
use report::Report;

use stage::Stage;
use std::process::ExitCode;
use std::time::Duration;

/// Measures a fleet of resources.
#[derive(Parser)]
struct Arguments {
    /// Measure only runs whose name contains this; repeatable.
    #[arg(value_name = "NAME")]
    only: Vec<String>,

    /// Fail if a figure misses its target.
    #[arg(long)]
    check: bool,

    /// Measure for a sixth of the time, and with a tenth of the resources at rest. Do not publish such figures.
    #[arg(long)]
    quick: bool,

    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run_benchmarks(&arguments) {
        Ok(report) if arguments.check && report.misses() > 0 => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("fleet: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run_benchmarks(arguments: &Arguments) -> Result<Report, Failure> {
    // One TLS provider for the whole process. If there is one already, it is kept.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = Report::default();
    runtime.block_on(async {
        for run in Run::all(arguments.quick) {
            let is_wanted = |only: &String| run.name().contains(only.as_str());
            if !arguments.only.is_empty() && !arguments.only.iter().any(is_wanted) {
                continue;
            }
            eprintln!("{} ...", run.name());
            let stage = Stage::start().await?;
            run.measure(&stage, &mut report).await?;
            stage.stop();
        }
        Ok(report)
    })
}

/// One measurement.
enum Run {
    /// A fleet in virtual time.
    Fleet(Plan),
    /// A busy fleet with a real process, for this long.
    Process(Duration),
    /// This many resources at rest.
    Rest(usize),
}

impl Run {
    fn all(is_quick: bool) -> Vec<Self> {
        let (minutes, at_rest) = if is_quick { (2, 1000) } else { (10, 10_000) };
        let fleets = Plan::all(is_quick).into_iter().map(Self::Fleet);
        fleets.chain([Self::Process(Duration::from_secs(minutes * 60)), Self::Rest(at_rest)]).collect()
    }

    fn name(&self) -> &str {
        match self {
            Self::Fleet(plan) => plan.name,
            Self::Process(_) => "process",
            Self::Rest(_) => "rest",
        }
    }

    async fn measure(&self, stage: &Stage, report: &mut Report) -> Result<(), Failure> {
        let (heading, lines) = match self {
            Self::Fleet(plan) => {
                let measured = run::measure(stage, plan).await?;
                (measured.heading(plan), measured.lines(plan))
            }
            Self::Process(length) => {
                let heading = format!("150 resources, a real process, {} min of real time", length.as_secs() / 60);
                (heading, saturated_process::measure(stage, *length).await?)
            }
            Self::Rest(size) => {
                let heading = format!("{size} resources with snapshots of 8 KiB, a real process");
                (heading, rest::measure(stage, *size).await?)
            }
        };
        report.add(self.name(), &heading, &lines)
    }
}
