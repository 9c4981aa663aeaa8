//! Decides which fault applies to a request. Every rule counts the requests that it covers.

use super::fault::{Call, Fault, FaultRule, Times};
use super::identifier::EnvironmentId;

/// The faults that may still happen.
#[derive(Clone, Debug, Default)]
pub(super) struct FaultStore {
    rules: Vec<InstalledRule>,
}

#[derive(Clone, Debug)]
struct InstalledRule {
    rule: FaultRule,
    /// The environment whose script contains the rule.
    environment: Option<EnvironmentId>,
    /// Requests that matched so far.
    matched: u32,
}

impl FaultStore {
    /// Adds a rule that does not belong to an environment's script.
    pub(super) fn add(&mut self, rule: FaultRule) {
        self.rules.push(InstalledRule { rule, environment: None, matched: 0 });
    }

    /// Replaces the rules of the script of `environment`.
    pub(super) fn script(&mut self, environment: &EnvironmentId, rules: &[FaultRule]) {
        self.rules.retain(|installed| installed.environment.as_ref() != Some(environment));
        self.rules.extend(rules.iter().map(|rule| InstalledRule {
            rule: FaultRule { environment: Some(environment.clone()), ..rule.clone() },
            environment: Some(environment.clone()),
            matched: 0,
        }));
    }

    /// Forgets every rule.
    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Counts a request and returns the fault that applies to it: the first rule that is due.
    pub(super) fn next(&mut self, call: Call, environment: Option<&EnvironmentId>) -> Option<Fault> {
        let mut due = None;
        for installed in self.rules.iter_mut().filter(|installed| installed.rule.covers(call, environment)) {
            installed.matched = installed.matched.saturating_add(1);
            if due.is_none() && installed.rule.applies_to(installed.matched) {
                due = Some(installed.rule.fault.clone());
            }
        }
        due
    }
}

impl FaultRule {
    fn covers(&self, call: Call, environment: Option<&EnvironmentId>) -> bool {
        self.call == call && (self.environment.is_none() || self.environment.as_ref() == environment)
    }

    fn applies_to(&self, number: u32) -> bool {
        let Some(earlier) = number.checked_sub(self.nth.get()) else {
            return false;
        };
        match self.times {
            Times::Count(count) => earlier < count.get(),
            Times::Forever => true,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rule(text: &str) -> FaultRule {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_rule_applies_from_its_nth_request_as_often_as_it_specifies() {
        let cases = [
            (r#"{"call": "job", "fault": "empty"}"#, [true, false, false, false]),
            (r#"{"call": "job", "nth": 2, "fault": "empty"}"#, [false, true, false, false]),
            (r#"{"call": "job", "nth": 2, "times": 2, "fault": "empty"}"#, [false, true, true, false]),
            (r#"{"call": "job", "nth": 3, "times": "forever", "fault": "empty"}"#, [false, false, true, true]),
            (r#"{"call": "health", "times": "forever", "fault": "empty"}"#, [false; 4]),
        ];
        for (text, expected) in cases {
            let mut store = FaultStore::default();
            store.add(rule(text));
            let applied = [(); 4].map(|()| store.next(Call::Job, None).is_some());
            assert_eq!(applied, expected, "{text}");
        }
    }

    #[test]
    fn a_new_script_replaces_only_the_rules_of_its_environment() {
        let [one, two]: [EnvironmentId; 2] = ["one", "two"].map(|id| id.parse().unwrap());
        let forever = rule(r#"{"call": "health", "times": "forever", "fault": "empty"}"#);
        let mut store = FaultStore::default();
        store.script(&one, std::slice::from_ref(&forever));
        store.script(&two, std::slice::from_ref(&forever));
        store.script(&one, &[]);
        assert!(store.next(Call::Health, Some(&one)).is_none());
        assert!(store.next(Call::Health, Some(&two)).is_some());
        assert!(store.next(Call::Health, None).is_none());
    }
}
