//! The version of a configuration, for people.

use super::sample_with;
use crate::{Digest, VERSION_LABEL};
use serde_json::json;

#[test]
fn the_display_version_goes_before_the_label_and_the_label_before_the_snapshot() {
    let mut deployment = sample_with(&json!({}));
    let snapshot = deployment.spec.configuration_snapshot.clone().unwrap();
    let digest = Digest::of_deployment(&deployment.spec, &snapshot).unwrap();
    let checks = Digest::of_checks(&deployment.spec);
    assert_eq!(deployment.version_of(&snapshot).as_deref(), Some("2.4.1"));

    deployment.metadata.labels = Some([(VERSION_LABEL.to_owned(), "spring-7".to_owned())].into());
    assert_eq!(deployment.version_of(&snapshot).as_deref(), Some("spring-7"));

    deployment.spec.display_version = Some("Spring, Köln".to_owned());
    assert_eq!(deployment.version_of(&snapshot).as_deref(), Some("Spring, Köln"));
    assert_eq!(Digest::of_deployment(&deployment.spec, &snapshot).unwrap(), digest, "it is only shown");
    assert_eq!(Digest::of_checks(&deployment.spec), checks, "it is only shown");
}

#[test]
fn a_text_that_cannot_be_shown_is_skipped() {
    let mut deployment = sample_with(&json!({}));
    let snapshot = deployment.spec.configuration_snapshot.clone().unwrap();
    for text in ["", " ", "2\n1", &"x".repeat(65)] {
        deployment.spec.display_version = Some(text.to_owned());
        deployment.metadata.labels = Some([(VERSION_LABEL.to_owned(), text.to_owned())].into());
        assert_eq!(deployment.version_of(&snapshot).as_deref(), Some("2.4.1"), "{text:?}");
    }
}
