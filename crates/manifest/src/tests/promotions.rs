//! A release is copied from one manifest into another one. Everything else stays byte for byte.

use crate::promote::{Field, Place, Promotion, promote};

const HEAD: &str = "apiVersion: deploy.cognigy.ai/v1alpha1\nkind: CognigyDeployment\n";

fn place<'a>(file: &'a str, text: &'a str, name: Option<&'a str>) -> Place<'a> {
    Place { file, text, name, flag: "--name" }
}

fn promoted(from: &str, to: &str) -> Result<Promotion, String> {
    promote(&place("staging.yaml", from, None), &place("prod.yaml", to, None)).map_err(|problem| problem.to_string())
}

/// The text of the target with the release of the source. Both are given without apiVersion and kind.
#[track_caller]
fn text(from: &str, to: &str) -> String {
    let text = promoted(&format!("{HEAD}{from}"), &format!("{HEAD}{to}")).unwrap().text;
    text.strip_prefix(HEAD).unwrap().to_owned()
}

#[track_caller]
fn refused(from: &str, to: &str) -> String {
    promoted(&format!("{HEAD}{from}"), &format!("{HEAD}{to}")).unwrap_err()
}

const FROM: &str = "\
metadata:
  name: bot
  namespace: staging
  labels:
    app.kubernetes.io/version: '2.5' # quoted, or it is a number
spec:
  environmentId: env_staging
  displayVersion: Spring
  configurationSnapshot:
    # copied with the snapshot
    botVersion: 2.5.0
    text: |
      one
        # two
    list:
    - a
    -
  # not copied
  dependencyLocks:
  - {packageName: nlp, version: 3.0.0}
  suspend: false
";

#[test]
fn a_release_is_copied_and_everything_else_stays() {
    let to = "\
# of the team
metadata:
    name: bot
    namespace: prod
    labels:
        team: a
        app.kubernetes.io/version: 2.4.0   # kept
spec:
    # the environment
    environmentId: env_prod   # never changes

    displayVersion: Winter   # kept as well
    # the snapshot
    configurationSnapshot:
        # gone with the old snapshot
        botVersion: 2.4.0
    # the locks

    dependencyLocks:
    - packageName: nlp
      version: 2.0.0

    # capacity
    capacityConstraints: {maxConcurrentSessions: 5}
status: {}
";
    let expected = "\
# of the team
metadata:
    name: bot
    namespace: prod
    labels:
        team: a
        app.kubernetes.io/version: '2.5'   # kept
spec:
    # the environment
    environmentId: env_prod   # never changes

    displayVersion: Spring   # kept as well
    # the snapshot
    configurationSnapshot:
      # copied with the snapshot
      botVersion: 2.5.0
      text: |
        one
          # two
      list:
      - a
      -
    # the locks

    dependencyLocks:
    - {packageName: nlp, version: 3.0.0}

    # capacity
    capacityConstraints: {maxConcurrentSessions: 5}
status: {}
";
    assert_eq!(text(FROM, to), expected);
    let promotion = promoted(&format!("{HEAD}{FROM}"), &format!("{HEAD}{to}")).unwrap();
    assert_eq!(promotion.fields, [Field::DisplayVersion, Field::Snapshot, Field::Locks, Field::Label]);
    assert_eq!(promotion.object, "CognigyDeployment prod/bot");
    assert_eq!(
        (promotion.before.version.as_deref(), promotion.after.version.as_deref()),
        (Some("Winter"), Some("Spring"))
    );
    assert!(promotion.before.digest.is_some() && promotion.before.digest != promotion.after.digest);
}

#[test]
fn a_promotion_that_was_made_has_nothing_left_to_do() {
    let to = format!("{HEAD}metadata: {{name: bot}}\nspec:\n  environmentId: p\n  configurationSnapshot: {{a: 1}}\n");
    let from = format!(
        "{HEAD}{}",
        FROM.replace("    app.kubernetes.io/version: '2.5' # quoted, or it is a number\n", "    team: a\n")
    );
    let once = promoted(&from, &to).unwrap();
    let twice = promoted(&from, &once.text).unwrap();
    assert_eq!((&twice.text, twice.fields.len()), (&once.text, 0));
    // A file that could not be edited is equal all the same.
    let flow = format!(
        "{HEAD}metadata: {{name: bot}}\nspec: {{environmentId: p, configurationSnapshot: {{a: 1}}, dependencyLocks: []}}\n"
    );
    assert_eq!(promoted(&to, &flow).unwrap().text, flow);
}

#[test]
fn fields_that_the_target_lacks_are_added_and_fields_that_the_source_lacks_are_removed() {
    let bare =
        "metadata:\n  name: bot\nspec:\n  environmentId: e\n  configurationSnapshot: {a: 1}   # one\n  suspend: true";
    let full = "metadata:\n  name: bot\n  labels:\n    app.kubernetes.io/version: '2.5'\nspec:\n  environmentId: e\n  displayVersion: Spring\n  configurationSnapshot: {a: 1}   # one\n  dependencyLocks:\n  - {packageName: nlp, version: 3.0.0}\n  suspend: true";
    assert_eq!(text(full, bare), full);
    assert_eq!(text(bare, full), bare);
}

#[test]
fn a_snapshot_and_a_reference_to_a_config_map_replace_each_other() {
    let written = "metadata:\n  name: bot\nspec:\n  environmentId: e\n  # the snapshot\n  configurationSnapshot:\n    a: 1\n  suspend: true\n";
    let reference = "metadata:\n  name: bot\nspec:\n  environmentId: e\n  # the snapshot\n  configurationSnapshotFrom:\n    configMapKeyRef: {name: bot-2-5, key: snapshot}\n  suspend: true\n";
    assert_eq!(text(written, reference), written);
    assert_eq!(text(reference, written), reference);
    let promotion = promoted(&format!("{HEAD}{reference}"), &format!("{HEAD}{written}")).unwrap();
    assert_eq!(promotion.config_map.unwrap().name, "bot-2-5");
    assert_eq!(promotion.after.digest, None);
    assert_eq!(promotion.fields, [Field::Snapshot, Field::SnapshotFrom]);
}

#[test]
fn labels_are_written_below_the_others_or_as_a_new_map() {
    let from =
        "metadata: {name: bot, labels: {app.kubernetes.io/version: 2.5.0}}\nspec:\n  configurationSnapshot: {a: 1}\n";
    let to = |metadata: &str| format!("metadata:\n{metadata}spec:\n  configurationSnapshot: {{a: 1}}\n");
    for (before, after) in [
        (
            "  name: bot\n  namespace: a\n",
            "  name: bot\n  namespace: a\n  labels:\n    app.kubernetes.io/version: 2.5.0\n",
        ),
        (
            "  name: bot\n  labels:\n  annotations: {}\n",
            "  name: bot\n  labels:\n    app.kubernetes.io/version: 2.5.0\n  annotations: {}\n",
        ),
        (
            "  labels:\n      a: b # c\n\n  name: bot\n",
            "  labels:\n      a: b # c\n      app.kubernetes.io/version: 2.5.0\n\n  name: bot\n",
        ),
        (
            "  name: bot\n  labels: {app.kubernetes.io/version: 1}\n",
            "  name: bot\n  labels: {app.kubernetes.io/version: 2.5.0}\n",
        ),
    ] {
        assert_eq!(text(from, &to(before)), to(after));
    }
    let without = "metadata:\n  name: bot\nspec:\n  configurationSnapshot: {a: 1}\n";
    assert_eq!(
        text(without, &to("  labels:\n    a: b\n    app.kubernetes.io/version: 2\n  name: bot\n")),
        to("  labels:\n    a: b\n  name: bot\n")
    );
}

#[test]
fn line_ends_a_byte_order_mark_and_other_documents_stay() {
    let from = format!(
        "---\n{HEAD}metadata:\n  name: bot\nspec:\n  configurationSnapshot:\n    a: |\n      1\n      2\n---\nkind: x\n"
    );
    let other = "apiVersion: v1\r\nkind: Secret\r\nmetadata: {name: s}\r\n--- # c\r\n";
    let to = |snapshot: &str| {
        let own = format!("{HEAD}metadata:\n  name: bot\nspec:\n  environmentId: e\n{snapshot}");
        format!("\u{feff}{other}{}---\r\n# nothing\r\n", own.replace('\n', "\r\n"))
    };
    let promotion = promoted(&from, &to("  configurationSnapshot: {a: 0}\n")).unwrap();
    assert_eq!(promotion.text, to("  configurationSnapshot:\n    a: |\n      1\n      2\n"));
}

#[test]
fn a_file_without_a_last_line_break_gets_none() {
    let from =
        "metadata:\n  name: bot\nspec:\n  configurationSnapshot:\n    a: 2\n    b: |+\n      x\n\n\n  suspend: true\n";
    let to = "metadata:\n  name: bot\nspec:\n  configurationSnapshot:\n    a: 1";
    assert_eq!(text("metadata: {name: a}\nspec:\n   configurationSnapshot:\n     a: 2\n", to), to.replace('1', "2"));
    let kept = "metadata:\n  name: bot\nspec:\n  configurationSnapshot: {a: 1}\n  suspend: true\n";
    let expected = from;
    assert_eq!(text(from, kept), expected);
}

#[test]
fn a_block_ends_with_its_last_line_although_nothing_is_written_in_it() {
    let to = "metadata:\n  name: bot\nspec:\n    configurationSnapshot: {a: 0}\n\n    # next\n    suspend: true\n";
    for snapshot in
        ["    list:\n    - a\n\n    # none\n    -\n", "    text: |\n      a\n         \n", "    a: 1\n    b:\n"]
    {
        let from = format!("metadata:\n  name: bot\nspec:\n  configurationSnapshot:\n{snapshot}\n  suspend: false\n");
        let moved: String = snapshot
            .lines()
            .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") })
            .collect();
        assert_eq!(text(&from, to), to.replace(" {a: 0}\n", &format!("\n{moved}")));
    }
}

#[test]
fn a_deployment_is_found_by_its_name() {
    let one = |namespace: &str, name: &str, value: u8| {
        format!(
            "{HEAD}metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  configurationSnapshot: {{a: {value}}}\n---\n"
        )
    };
    let file = [one("u", "a", 1), one("u", "b", 2), one("v", "b", 3)].concat();
    let run = |from: Option<&str>, to: Option<&str>| {
        promote(&place("f", &file, from), &place("f", &file, to))
            .map(|it| it.text)
            .map_err(|problem| problem.to_string())
    };
    assert_eq!(run(Some("a"), Some("v/b")).unwrap(), file.replace("{a: 3}", "{a: 1}"));
    assert_eq!(run(Some("a"), Some("a")).unwrap(), file);
    for (from, to, says) in [
        (None, Some("a"), "f: it has several: u/a, u/b, v/b; name one with --name NAME or --name NAMESPACE/NAME"),
        (Some("a"), Some("b"), "f: it has several: u/a, u/b, v/b; name one with --name NAME or --name NAMESPACE/NAME"),
        (Some("a"), Some("c"), "f: it has no CognigyDeployment c: it has u/a, u/b, v/b"),
    ] {
        assert_eq!(run(from, to).unwrap_err(), says);
    }
}

#[test]
fn json_is_edited_as_json() {
    let json = |spec: &str| {
        format!(
            "{{\n\t\"apiVersion\": \"deploy.cognigy.ai/v1alpha1\", \"kind\": \"CognigyDeployment\",\n\t\"metadata\": {{\"name\": \"bot\"}},\n\t\"spec\": {{{spec}\n\t}}\n}}\n"
        )
    };
    let from = json("\n\t\t\"displayVersion\": \"Spring\", \"configurationSnapshot\": {\n\t\t\t\"a\": 2.50\n\t\t}");
    let to = json(
        "\n    \"environmentId\": \"e\",\n    \"configurationSnapshot\": {\"a\":   1},\n    \"dependencyLocks\": [{\"packageName\": \"p\", \"version\": \"1\"}]",
    );
    let expected = json(
        "\n    \"environmentId\": \"e\",\n    \"displayVersion\": \"Spring\",\n    \"configurationSnapshot\": {\n    \t\"a\": 2.50\n    }",
    );
    assert_eq!(promoted(&from, &to).map(|it| it.text), Ok(expected));
    let one = json("\"configurationSnapshot\": {\"a\": 1}");
    let three = json("\"configurationSnapshot\": {\"a\": 1},\n\"displayVersion\": \"2\", \"dependencyLocks\": [1]");
    assert_eq!(promoted(&one, &three).map(|it| it.text), Ok(one.clone()));
    let labelled = one.replace("\"bot\"", "\"bot\", \"labels\": {\"app.kubernetes.io/version\": \"2\"}");
    assert_eq!(promoted(&labelled, &one).map(|it| it.text), Ok(labelled.clone()));
    assert_eq!(promoted(&one, &labelled).map(|it| it.text), Ok(one));
    assert!(
        promoted(&from, &format!("{HEAD}metadata: {{name: a}}\nspec:\n  environmentId: e\n"))
            .unwrap_err()
            .contains("it is YAML, and staging.yaml is JSON")
    );
}

#[test]
fn what_cannot_be_edited_as_text_is_refused_with_the_line_and_what_to_write() {
    let from = "metadata:\n  name: bot\nspec:\n  configurationSnapshot:\n    a: 1\n";
    let of = |spec: &str| format!("metadata:\n  name: bot\n{spec}");
    for (to, says) in [
        ("spec: {environmentId: e}\n", "prod.yaml:5 (CognigyDeployment bot): spec: it is written in braces"),
        ("spec: &s\n  environmentId: e\n", "spec: it has an anchor (&), an alias (*) or a tag (!)"),
        ("x: &s {environmentId: e}\nspec: *s\n", "spec: it has an anchor"),
        ("x: &s {environmentId: e}\nspec:\n  <<: *s\n", "spec: it has a key <<: write its entries out"),
        (
            "spec:\n  environmentId: e\n  configurationSnapshot:\n    a: &a 2\n",
            "prod.yaml:7 (CognigyDeployment bot): spec.configurationSnapshot: it has an anchor",
        ),
        (
            "spec:\n  environmentId: e\n  configurationSnapshot: !!map {a: 2}\n",
            "spec.configurationSnapshot: it has an anchor",
        ),
        ("spec:\n  ? configurationSnapshot\n  : a: 2\n", "the key is not the first text of its line"),
        ("", "spec: it is missing: write it"),
        ("spec:\n", "spec: it is not written as a map"),
        ("spec:\n  a: [\n", "it is not YAML"),
        (
            "spec:\n  configurationSnapshot: {a: 1}\n  configurationSnapshotFrom: {b: 1}\n",
            "prod.yaml:6 (CognigyDeployment bot): spec: it has configurationSnapshot and configurationSnapshotFrom",
        ),
    ] {
        let message = refused(from, &of(to));
        assert!(message.contains(says), "{to}\n{message}");
    }
    for (from, says) in [
        (
            of("spec: {}\n"),
            "staging.yaml:5 (CognigyDeployment bot): spec: it has no release: write configurationSnapshot",
        ),
        (of("spec:\n  configurationSnapshot: {a: 1}\n  configurationSnapshotFrom: {b: 1}\n"), "write one of the two"),
        (of("spec:\n  configurationSnapshot: {a: 1}\r"), "a line ends with a carriage return alone"),
    ] {
        let message = refused(&from, &of("spec:\n  environmentId: e\n  configurationSnapshot: {a: 2}\n"));
        assert!(message.contains(says), "{from}\n{message}");
    }
    let list =
        format!("apiVersion: v1\nkind: List\nitems:\n- {}metadata: {{name: a}}\n", HEAD.replace("kind", "  kind"));
    assert!(promoted(&list, &list).unwrap_err().contains("its CognigyDeployment is in a list"));
    assert!(
        promoted("kind: a\n", &list).unwrap_err().contains("it has no CognigyDeployment (deploy.cognigy.ai/v1alpha1)")
    );
    let labels = of("spec:\n  configurationSnapshot: {a: 1}\n")
        .replace("name: bot", "name: bot\n  labels: {app.kubernetes.io/version: 1, a: b}");
    assert!(refused(from, &labels).contains("metadata.labels: it is written in braces"));
}

#[test]
fn an_edit_that_would_change_more_is_refused() {
    // The text of the source ends without a line break, and a line break follows it in the target.
    let from = "metadata:\n  name: bot\nspec:\n  configurationSnapshot:\n    a: |+\n      1\n";
    let to = "metadata:\n  name: bot\nspec:\n  configurationSnapshot:\n    a: 1\n\n  suspend: true\n";
    assert!(refused(from, to).contains("so nothing was written"));
}
