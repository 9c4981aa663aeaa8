//! Checks that the simulator understands the guide and the sample scenarios.

#![allow(clippy::unwrap_used)]

use http::{Method, Request};

use super::stage::Stage;
use crate::{EnvironmentScript, FaultRule, Scenario};

const GUIDE: &str = include_str!("../../../../docs/simulator.md");

/// The fenced blocks of the guide that are marked with `mark`, such as `yaml scenario`.
fn blocks(mark: &str) -> Vec<&'static str> {
    let opening = format!("```{mark}\n");
    let found: Vec<_> = GUIDE.split(opening.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!found.is_empty(), "no block is marked `{mark}`");
    found
}

#[test]
fn every_scenario_in_the_guide_is_valid() {
    for text in blocks("yaml scenario") {
        Scenario::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}

#[test]
fn every_environment_and_fault_in_the_guide_is_valid() {
    for text in blocks("yaml environment") {
        EnvironmentScript::parse(text, &"env_a".parse().unwrap()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
    for text in blocks("yaml fault") {
        serde_saphyr::from_str::<FaultRule>(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}

#[test]
fn every_sample_scenario_is_valid() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/scenarios");
    let mut samples = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        Scenario::parse(&std::fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        samples += 1;
    }
    assert!(samples > 0);
}

#[test]
fn every_endpoint_is_documented_and_exists() {
    let mut stage = Stage::new("");
    let index = stage.control(Method::GET, "/simulator", "");
    for endpoint in index["endpoints"].as_array().unwrap() {
        let endpoint = endpoint.as_str().unwrap();
        let path = endpoint.split('?').next().unwrap();
        assert!(GUIDE.contains(&format!("`{path}")), "{path} is not in the guide");
        let (method, path) = path.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(path.replace("{environmentId}", "env_a"));
        let reply = stage.send(request, "{}");
        assert_ne!(reply.response.status(), 404, "{endpoint}");
    }
}
