//! Deployments that require each other would wait for ever.

use crate::admission::ResourceName;
use std::collections::{HashMap, VecDeque};

/// The maximum number of deployments in a cycle that is found. A longer one only waits.
const MAX_LENGTH: usize = 32;
/// How many deployments are looked at, at most.
const MAX_VISITED: usize = 1024;

/// The shortest cycle through this deployment: the deployment itself, those between, and the deployment again. `required_by`
/// returns what a deployment requires.
#[must_use]
pub fn find_cycle(
    start: &ResourceName,
    required_by: impl Fn(&ResourceName) -> Vec<ResourceName>,
) -> Option<Vec<ResourceName>> {
    // Each deployment that was found, with the one that requires it.
    let mut found_from: HashMap<ResourceName, ResourceName> = HashMap::new();
    let mut queue = VecDeque::from([(start.clone(), 1)]);
    while let Some((resource, length)) = queue.pop_front() {
        for upstream in required_by(&resource) {
            if upstream == *start {
                return Some(chain(start, resource, &found_from));
            }
            let is_new = !found_from.contains_key(&upstream) && found_from.len() < MAX_VISITED;
            if is_new && length < MAX_LENGTH {
                found_from.insert(upstream.clone(), resource.clone());
                queue.push_back((upstream, length + 1));
            }
        }
    }
    None
}

fn chain(
    start: &ResourceName,
    last: ResourceName,
    found_from: &HashMap<ResourceName, ResourceName>,
) -> Vec<ResourceName> {
    let mut chain = vec![start.clone()];
    let mut next = Some(last);
    while let Some(resource) = next.filter(|resource| resource != start) {
        next = found_from.get(&resource).cloned();
        chain.push(resource);
    }
    chain.push(start.clone());
    chain.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> ResourceName {
        ResourceName { namespace: "bots".into(), name: name.into() }
    }

    /// The cycle through `a` in a graph such as `a>b b>c c>a`.
    fn cycle(graph: &str) -> Option<String> {
        let edges: Vec<(&str, &str)> = graph.split_whitespace().filter_map(|edge| edge.split_once('>')).collect();
        let required_by = |resource: &ResourceName| {
            let required = edges.iter().filter(|(from, _)| named(from) == *resource);
            required.map(|(_, to)| named(to)).collect()
        };
        let found = find_cycle(&named("a"), required_by)?;
        Some(found.iter().map(|resource| resource.name.to_string()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn the_shortest_cycle_is_named_from_the_deployment_to_itself() {
        assert_eq!(cycle("a>a").as_deref(), Some("a a"));
        assert_eq!(cycle("a>b b>a").as_deref(), Some("a b a"));
        assert_eq!(cycle("a>b b>c c>a").as_deref(), Some("a b c a"));
        assert_eq!(cycle("a>b b>c c>d d>a a>e e>a").as_deref(), Some("a e a"));
    }

    #[test]
    fn deployments_without_a_way_back_are_no_cycle() {
        for graph in ["", "a>b", "a>b a>c b>d c>d", "a>b b>c c>b", "b>a"] {
            assert_eq!(cycle(graph), None, "{graph}");
        }
    }

    fn ring(length: usize) -> String {
        let name = |number: usize| if number.is_multiple_of(length) { "a".to_owned() } else { format!("r{number}") };
        (0..length).map(|number| format!("{}>{} ", name(number), name(number + 1))).collect()
    }

    #[test]
    fn a_cycle_of_32_deployments_is_found_and_a_longer_one_is_not() {
        assert_eq!(cycle(&ring(32)).map(|chain| chain.split(' ').count()), Some(33));
        assert_eq!(cycle(&ring(33)), None);
    }

    #[test]
    fn the_search_ends_although_each_deployment_requires_32_others() {
        let looked_at = std::cell::Cell::new(0);
        let required_by = |resource: &ResourceName| {
            looked_at.set(looked_at.get() + 1);
            (0..32).map(|number| named(&format!("{}-{number}", resource.name))).collect()
        };
        assert_eq!(find_cycle(&named("a"), required_by), None);
        assert!(looked_at.get() <= MAX_VISITED + 1, "{}", looked_at.get());
    }
}
