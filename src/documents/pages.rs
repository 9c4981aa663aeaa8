//! Every page: its links have a target, and its resources are valid.

use super::{all, read, root};
use api::CognigyDeployment;
use serde_json::Value;
use std::collections::BTreeSet;

#[test]
fn every_link_has_an_existing_file_and_heading() {
    let mut links = 0;
    for page in all() {
        let text = read(&page);
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if target.starts_with("https://") || target.starts_with("http://") {
                continue;
            }
            links += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => root().join(&page),
                file => root().join(&page).parent().unwrap().join(file),
            };
            assert!(path.exists(), "{page} links to {target}, which does not exist");
            if !heading.is_empty() {
                let headings = headings(&std::fs::read_to_string(&path).unwrap());
                assert!(headings.iter().any(|found| found == heading), "{page}: {target} is none of {headings:?}");
            }
        }
    }
    assert!(links > 20, "too few links were found");
}

#[test]
fn every_page_is_linked_from_the_readme_directly_or_indirectly() {
    let all: BTreeSet<String> = all().into_iter().collect();
    let mut reached = BTreeSet::new();
    let mut to_read = vec!["README.md".to_owned()];
    while let Some(page) = to_read.pop() {
        if !reached.insert(page.clone()) {
            continue;
        }
        let text = read(&page);
        for target in text.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap()) {
            let path = root().join(&page).parent().unwrap().join(target);
            let Ok(path) = path.canonicalize() else { continue };
            let page = path.strip_prefix(root()).ok().and_then(|path| path.to_str()).map(str::to_owned);
            to_read.extend(page.filter(|page| all.contains(page)));
        }
    }
    assert_eq!(reached, all, "left: the pages that are linked; right: all pages");
}

#[test]
fn every_resource_in_a_page_follows_the_rules() {
    let mut resources = 0;
    for page in all() {
        for text in blocks_of_yaml(&read(&page)) {
            for text in text.split("\n---\n").filter(|text| text.contains("kind: CognigyDeployment")) {
                let object: Value =
                    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{page}: {error}\n{text}"));
                let object: CognigyDeployment =
                    serde_json::from_value(object).unwrap_or_else(|error| panic!("{page}: {error}\n{text}"));
                object.validate_cel().unwrap_or_else(|error| panic!("{page}: {error}\n{text}"));
                resources += 1;
            }
        }
    }
    assert!(resources > 0, "no resource was found");
}

#[test]
fn the_first_page_shows_the_resource_that_it_applies() {
    let page = read("README.md");
    let sample = "deploy/samples/first-resource.yaml";
    assert!(page.contains(&format!("kubectl apply -f {sample}")), "the page must apply the sample");
    let text = read(sample);
    let resource = text.split_inclusive('\n').skip_while(|line| line.starts_with('#')).collect::<String>();
    assert_eq!(blocks_of_yaml(&page), [resource]);
}

/// The blocks that are marked as YAML, and the here-documents in shell blocks.
fn blocks_of_yaml(text: &str) -> Vec<String> {
    text.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("yaml\n")).map(str::to_owned).collect()
}

/// The anchors of a page's headings, as GitHub and similar sites generate them.
pub(super) fn headings(text: &str) -> Vec<String> {
    let is_kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    let prose: String = text.split("```").step_by(2).collect();
    prose
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| line.trim_start_matches('#').trim())
        .map(|heading| heading.to_lowercase().chars().filter(is_kept).collect::<String>().replace(' ', "-"))
        .collect()
}
