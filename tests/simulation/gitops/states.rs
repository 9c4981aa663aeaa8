//! All different states of a resource in all stories, as a tool sees them.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::Value;

use crate::director::run;
use crate::fault::Plan;
use crate::kstatus::conditions;
use crate::stories;
use crate::story::{Happening, is_deployment};
use crate::trials::{Report, for_all};

/// A resource as it was at a moment of a story.
pub struct State {
    /// The story.
    pub story: &'static str,
    /// The resource.
    pub object: Arc<Value>,
}

impl Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {:?}", self.story, Shape::of(&self.object))
    }
}

/// The parts of a status that tools decide by. Names, times and messages are left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    is_seen: bool,
    is_deleted: bool,
    /// Each condition's type, status and reason.
    conditions: Vec<[String; 3]>,
}

impl Shape {
    pub fn of(object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut conditions: Vec<[String; 3]> =
            conditions(object).map(|it| [text(&it["type"]), text(&it["status"]), text(&it["reason"])]).collect();
        conditions.sort();
        Self {
            is_seen: object["status"]["observedGeneration"] == object["metadata"]["generation"],
            is_deleted: object["metadata"]["deletionTimestamp"].is_string(),
            conditions,
        }
    }
}

/// One state of each shape that a resource has in a story without faults, story by story.
pub fn all() -> &'static [State] {
    static ALL: OnceLock<Vec<State>> = OnceLock::new();
    ALL.get_or_init(|| {
        let states: Mutex<BTreeMap<(&str, Shape), State>> = Mutex::default();
        for_all(&stories::all(), |story| {
            let mut found = BTreeMap::new();
            for entry in run(story, &Plan::new()).story {
                let Happening::Changed { name, after: Some(object), .. } = entry.what else { continue };
                if is_deployment(&name) {
                    let state = State { story: story.name, object };
                    found.entry((story.name, Shape::of(&state.object))).or_insert(state);
                }
            }
            states.lock().unwrap_or_else(PoisonError::into_inner).append(&mut found);
            Report::default()
        });
        states.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
    })
}

/// The states of one story.
pub fn of(story: &str) -> Vec<&'static State> {
    all().iter().filter(|state| state.story == story).collect()
}
