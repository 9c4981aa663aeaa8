//! The streamed digest equals a reference digest that is computed from a tree, for every value that the API server can return.

use super::sample_with;
use crate::{CognigyDeploymentSpec, Digest, Snapshot};
use proptest::prelude::*;
use serde_json::{Map, Number, Value, json};
use sha2::{Digest as _, Sha256};

/// The reference digest, computed from a tree.
fn of_a_tree(spec: &CognigyDeploymentSpec, snapshot: &Map<String, Value>) -> String {
    let mut locks: Vec<_> = spec.dependency_locks.iter().collect();
    locks.sort_by(|left, right| left.package_name.cmp(&right.package_name));
    let locks: Vec<Value> = locks
        .into_iter()
        .map(|lock| json!({"packageName": lock.package_name, "pinned": lock.pinned, "version": lock.version}))
        .collect();
    let document = json!({
        "capacityConstraints": {
            "maxConcurrentSessions": spec.capacity_constraints.max_concurrent_sessions,
            "memoryLimitMb": spec.capacity_constraints.memory_limit_mb,
        },
        "configurationSnapshot": exact_object(snapshot),
        "dependencyLocks": locks,
        "environmentId": spec.environment_id.as_str(),
    });
    format!("v1:{}", hex::encode(Sha256::digest(serde_json_canonicalizer::to_vec(&document).unwrap())))
}

fn exact_object(map: &Map<String, Value>) -> Value {
    Value::Object(map.iter().map(|(key, value)| (key.clone(), exact(value))).collect())
}

fn exact(value: &Value) -> Value {
    match value {
        Value::Number(number) if is_beyond_double(number) => Value::String(format!("\u{0}integer:{number}")),
        Value::Array(items) => Value::Array(items.iter().map(exact).collect()),
        Value::Object(map) => exact_object(map),
        other => other.clone(),
    }
}

fn is_beyond_double(number: &Number) -> bool {
    let magnitude = number.as_i64().map(i64::unsigned_abs).or_else(|| number.as_u64());
    magnitude.is_some_and(|magnitude| magnitude > (1 << 53) - 1)
}

fn streamed(spec: &CognigyDeploymentSpec, text: &str) -> String {
    let snapshot: Snapshot = serde_json::from_str(text).unwrap();
    Digest::of_deployment(spec, &snapshot).unwrap().as_str().to_owned()
}

fn key() -> impl Strategy<Value = String> {
    // Characters whose order differs between UTF-16 and UTF-8, and characters that are escaped.
    let odd = prop::sample::select(vec![
        "", "\u{fb33}", "😀", "\u{e000}", "€", "\u{80}", "\r", "\"", "\\", "a\u{0}", "\u{7f}", "</",
    ]);
    prop_oneof![3 => "[a-c]{0,3}", 1 => odd.prop_map(str::to_owned), 1 => ".{0,4}"]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-1000_i64..1000).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        (any::<u32>(), 0_i32..12).prop_map(|(digits, places)| json!(f64::from(digits) / 10_f64.powi(places))),
        any::<u64>().prop_map(|bits| json!(f64::from_bits(bits))),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        4 => number(),
        2 => ".{0,8}".prop_map(Value::from),
        1 => key().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..8).prop_map(|fields| json!(fields)),
        ]
    })
}

/// The same JSON with other white space, unnecessary escapes and keys in reverse order.
fn respelled(value: &Value) -> String {
    let string = |text: &str| {
        let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        format!("\"{units}\"")
    };
    match value {
        Value::Object(fields) => {
            let fields: Vec<_> =
                fields.iter().rev().map(|(key, value)| format!("{} :\t{}", string(key), respelled(value))).collect();
            format!("{{ {} }}", fields.join("\n,"))
        }
        Value::Array(items) => format!("[ {}\r]", items.iter().map(respelled).collect::<Vec<_>>().join(" ,")),
        Value::String(text) => string(text),
        other => other.to_string(),
    }
}

/// The digits of a number before its exponent, without zeros at either end.
fn digits_of(number: &str) -> String {
    let mantissa = number.split('e').next().unwrap_or_default();
    mantissa.replace(['-', '.'], "").trim_matches('0').to_owned()
}

/// A number in the form that Go writes. The API server is written in Go.
fn as_go_writes_it(number: f64) -> String {
    match number.abs() {
        magnitude if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) => {
            let written = format!("{number:e}");
            match written.split_once('e') {
                Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent:0>2}"),
                // Go cuts e-09 to e-9.
                _ => written,
            }
        }
        _ => format!("{number}"),
    }
}

proptest! {
    #[test]
    fn the_streamed_digest_equals_the_digest_of_a_tree(
        fields in prop::collection::btree_map(key(), value(), 1..8),
    ) {
        let spec = sample_with(&json!({})).spec;
        let value = json!(fields);
        let tree = of_a_tree(&spec, value.as_object().unwrap());
        prop_assert_eq!(&streamed(&spec, &value.to_string()), &tree);
        prop_assert_eq!(&streamed(&spec, &serde_json::to_string_pretty(&value).unwrap()), &tree);
        prop_assert_eq!(&streamed(&spec, &respelled(&value)), &tree);
    }

    #[test]
    fn a_double_has_the_same_digest_in_the_form_that_the_api_server_writes(bits in any::<u64>()) {
        let number = f64::from_bits(bits);
        // Rust and Go choose differently only if two shortest forms are equally near.
        prop_assume!(number.is_finite() && digits_of(&format!("{number:e}")) == digits_of(&json!(number).to_string()));
        let spec = sample_with(&json!({})).spec;
        let text = format!("{{\"a\":{}}}", as_go_writes_it(number));
        // The reference digest was always computed from the output of this parser.
        let tree: Map<String, Value> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(streamed(&spec, &text), of_a_tree(&spec, &tree));
    }
}
