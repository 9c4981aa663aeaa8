//! The memory that an operator needs for the worst resources that an API server stores: for one, and for fifty at once.
//!
//! `cargo test --profile simulation --test outages memory -- --ignored --nocapture` prints the
//! measurements, which docs/security.md shows. The operator is the real binary. The API server is not real, because a
//! real one parses objects into trees, and needs some twenty gigabytes for fifty of the worst.

mod servers;

use crate::support::BINARY;
use servers::{Servers, Stored};
use std::time::Duration;
use testkit::OperatorCommand;

/// The number of resources at once.
const MANY: usize = 50;
/// The maximum growth of resident memory for one resource, in MiB.
const MAX_FOR_ONE: f64 = 64.0;
/// The maximum growth for fifty resources, in MiB.
const MAX_FOR_MANY: f64 = 128.0;
/// The approximate length of a snapshot in bytes.
const LENGTH: usize = 900_000;

/// A snapshot that repeats a part.
fn list_of(part: &str) -> String {
    format!("{{\"a\":[{}]}}", vec![part; LENGTH / (part.len() + 1)].join(","))
}

fn keys(order: impl Iterator<Item = usize>) -> String {
    let entries: Vec<_> = order.map(|number| format!("\"{number:06x}\":0")).collect();
    format!("{{{}}}", entries.join(","))
}

/// Snapshots that need much memory for their length, each for another reason.
fn worst_snapshots() -> Vec<(&'static str, Stored)> {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let inline = |snapshot: String| Stored { snapshot, ..Stored::default() };
    let fields: String = (0..95_000).map(|number| format!("\"f:{number:06x}\":{{}},")).collect();
    vec![
        ("objects of one key", inline(list_of(r#"{"":0}"#))),
        ("empty objects", inline(list_of("{}"))),
        ("empty lists", inline(list_of("[]"))),
        ("numbers", inline(list_of("0"))),
        ("numbers whose canonical form is longer", inline(list_of("1e9"))),
        ("one text of escapes", inline(format!("{{\"a\":\"{}\"}}", "\\u0001".repeat(LENGTH / 6)))),
        ("80,000 keys", inline(keys(0..80_000))),
        ("lists of 120 levels", inline(list_of(&deep(120)))),
        ("lists of 9,000 levels", inline(list_of(&deep(9_000)))),
        (
            "annotations of 256 KiB and managed fields of 1.2 MiB",
            Stored {
                snapshot: r#"{"a":1}"#.to_owned(),
                metadata: format!(
                    r#","annotations":{{"a":"{}"}},"managedFields":[{{"manager":"m","fieldsType":"FieldsV1","fieldsV1":{{{fields}"f:z":{{}}}}}}]"#,
                    "x".repeat(256 * 1024)
                ),
                ..Stored::default()
            },
        ),
    ]
}

fn worst_config_maps() -> Vec<(&'static str, Stored)> {
    let in_map = |text: String| Stored { config_map: Some(text), ..Stored::default() };
    let aliases = vec!["*a"; 130].join(", ");
    let laughs = (1..9).fold("a0: &a0 [x, y]\n".to_owned(), |text, level| {
        let again = vec![format!("*a{}", level - 1); 10].join(", ");
        format!("{text}a{level}: &a{level} [{again}]\n")
    });
    vec![
        ("JSON with keys in reverse order", in_map(keys((0..80_000).rev()))),
        ("YAML objects of one key", in_map(format!("{{a: [{}]}}", vec![r#"{"": 0}"#; LENGTH / 9].join(",")))),
        ("YAML keys in reverse order", in_map((0..80_000).rev().map(|key| format!("{key:06x}: 0\n")).collect())),
        ("YAML aliases", in_map(format!("a: &a [{}]\nb: [{aliases}]\n", vec![r#"{"": 0}"#; 900].join(", ")))),
        ("YAML aliases of aliases", in_map(laughs)),
        ("YAML of one text", in_map(format!("a: \"{}\"", "\\x01".repeat(LENGTH / 6)))),
    ]
}

/// The memory in MiB of an operator that finds this many resources when it starts: at its peak, and at the end.
async fn memory_for(servers: &Servers, what: &Stored, many: usize) -> (f64, f64) {
    servers.store(what, many);
    let command = OperatorCommand {
        binary: BINARY.into(),
        name: "measured".to_owned(),
        kubeconfig: servers.kubeconfig().to_owned(),
        flags: ["--namespace=bots", "--egress-allow=127.0.0.1"].map(str::to_owned).to_vec(),
        variables: Vec::new(),
    };
    let operator = command.start().await;
    servers.until_all_have_an_outcome(many).await;
    // The allocator returns freed memory to the system after a while.
    tokio::time::sleep(Duration::from_secs(3)).await;
    {
        let mib = |line| operator.memory_kib(line).expect("the kernel counts it") as f64 / 1024.0;
        (mib("VmHWM"), mib("VmRSS"))
    }
}

async fn measure(how: &str, with_streaming_lists: bool, worst: Vec<(&'static str, Stored)>) {
    let servers = Servers::start(with_streaming_lists).await;
    let (_, empty) = memory_for(&servers, &Stored::default(), 0).await;
    let mut too_much = Vec::new();
    for (what, stored) in worst {
        for (many, most) in [(1, MAX_FOR_ONE), (MANY, MAX_FOR_MANY)] {
            let (peak, kept) = memory_for(&servers, &stored, many).await;
            let (peak, kept) = (peak - empty, kept - empty);
            eprintln!("{how}, {what}, {many} at once: {peak:.0} MiB more at the peak, {kept:.0} MiB in the end");
            if peak > most {
                too_much.push(format!("{what}, {many} at once: {peak:.0} MiB"));
            }
        }
    }
    assert!(too_much.is_empty(), "{too_much:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, for minutes"]
async fn memory_for_the_worst_snapshots_is_bounded_with_streaming_lists() {
    measure("streaming", true, worst_snapshots()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, for minutes"]
async fn memory_for_the_worst_snapshots_is_bounded_with_lists_in_pages() {
    measure("in pages", false, worst_snapshots()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, for minutes"]
async fn memory_for_the_worst_config_maps_is_bounded() {
    measure("ConfigMap", true, worst_config_maps()).await;
}
