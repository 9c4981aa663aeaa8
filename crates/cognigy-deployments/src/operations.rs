//! The requests of the contract, with their deadlines, tries and priorities.

use platform::{Operation, Priority};
use std::time::Duration;

/// The maximum time for one answer of the API.
const DEADLINE: Duration = Duration::from_secs(30);

/// Section 0: get a token.
pub const TOKEN: Operation = Operation {
    name: "token",
    title: "token",
    deadline: Duration::from_secs(15),
    tries: 1,
    priority: Priority::Submit,
};

/// Section 1: validate whether the environment can run the configuration.
pub const VALIDATE: Operation =
    Operation { name: "validate", title: "validation", deadline: DEADLINE, tries: 3, priority: Priority::Start };

/// Section 2: trace whether the dependencies are compatible.
pub const TRACE: Operation =
    Operation { name: "trace", title: "synthetic trace", deadline: DEADLINE, tries: 3, priority: Priority::Check };

/// Section 3: roll the configuration out.
pub const SUBMIT: Operation =
    Operation { name: "submit", title: "submit", deadline: DEADLINE, tries: 3, priority: Priority::Submit };

/// Section 4: get the state of a job. The operator polls, so each call makes one try.
pub const JOB: Operation =
    Operation { name: "job", title: "job", deadline: DEADLINE, tries: 1, priority: Priority::Job };

/// Section 5: get the health of an environment. The operator polls, so each call makes one try.
pub const HEALTH: Operation =
    Operation { name: "health", title: "health", deadline: DEADLINE, tries: 1, priority: Priority::Health };

/// Section 5, after a success: get the health of an environment. Each call makes one try.
pub const WATCH: Operation =
    Operation { name: "watch", title: "health", deadline: DEADLINE, tries: 1, priority: Priority::Watch };

/// Section 6: roll a rollout back.
pub const ROLLBACK: Operation =
    Operation { name: "rollback", title: "rollback", deadline: DEADLINE, tries: 3, priority: Priority::Rollback };

/// Section 7: send an audit record.
pub const AUDIT: Operation =
    Operation { name: "audit", title: "audit", deadline: DEADLINE, tries: 3, priority: Priority::Audit };

/// Every request of the contract, in the order of its sections.
pub const ALL: [Operation; 9] = [TOKEN, VALIDATE, TRACE, SUBMIT, JOB, HEALTH, WATCH, ROLLBACK, AUDIT];
