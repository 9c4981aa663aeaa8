//! How an environment and its jobs change with time.

#![allow(clippy::unwrap_used)]

use jiff::Timestamp;
use serde_json::json;

use crate::environment::Submission;
use crate::reply::Refusal;
use crate::{Environment, EnvironmentScript, JobId, Overlap, Rollback, Scenario};

struct Stage {
    environment: Environment,
    scenario: Scenario,
    jobs: u32,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

impl Stage {
    fn new(yaml: &str) -> Self {
        let scenario = Scenario::parse("snapshots: {snap_old: {botVersion: '1.0'}}").unwrap();
        let script = EnvironmentScript::parse(yaml, &"env_a".parse().unwrap()).unwrap();
        Self { environment: Environment::new(script, &scenario), scenario, jobs: 0 }
    }

    fn submit(&mut self, seconds: i64, bot_version: &str, revert_to: Option<&str>) -> JobId {
        self.jobs += 1;
        let id = JobId::numbered(self.jobs);
        let body = json!({
            "configuration_snapshot": {"botVersion": bot_version},
            "rollback_policy": {"revert_snapshot_id": revert_to},
        });
        let submission = Submission { id: id.clone(), idempotency_key: None, body };
        self.environment.submit(at(seconds), submission, &self.scenario);
        id
    }

    fn roll_back(&mut self, seconds: i64, id: &JobId) -> Result<bool, Refusal> {
        let asked = Rollback { reason: "manual".to_owned(), accepted_at: at(seconds), idempotency_key: None };
        self.environment.roll_back(at(seconds), id, asked, &self.scenario)
    }

    fn status(&mut self, seconds: i64, id: &JobId) -> &'static str {
        self.environment.advance(at(seconds), &self.scenario);
        self.environment.job(id).unwrap().status(at(seconds))
    }

    fn health(&mut self) -> String {
        let body = self.environment.answer_health(&self.scenario);
        body["status"].as_str().unwrap_or("none").to_owned()
    }

    fn bot_version(&self) -> Option<String> {
        let snapshot = self.environment.deployed().configuration_snapshot.as_ref()?;
        snapshot["botVersion"].as_str().map(str::to_owned)
    }
}

#[test]
fn a_job_is_queued_then_runs_then_ends_as_scripted() {
    let ends = [
        ("completed", "completed"),
        ("failed", "failed"),
        ("error", "error"),
        ("cancelled", "cancelled"),
        ("rolledBack", "rolled_back"),
        ("neverEnds", "running"),
    ];
    for (outcome, last) in ends {
        let mut stage = Stage::new(&format!("{{jobDurationSeconds: 100, jobOutcome: {outcome}}}"));
        let job = stage.submit(0, "2.0", None);
        assert_eq!(stage.status(99, &job), "running", "{outcome}");
        assert_eq!(stage.status(100, &job), last, "{outcome}");
    }
    let mut stage = Stage::new("jobDurationSeconds: 100");
    let job = stage.submit(0, "2.0", None);
    assert_eq!(stage.status(9, &job), "queued");
}

#[test]
fn a_rollback_restores_the_earlier_configuration() {
    let mut stage = Stage::new("{}");
    stage.submit(0, "1.9", None);
    let job = stage.submit(1, "2.0", None);
    assert_eq!(stage.bot_version().as_deref(), Some("2.0"));
    assert_eq!(stage.roll_back(2, &job), Ok(true));
    assert_eq!(stage.bot_version().as_deref(), Some("1.9"));
    assert_eq!(stage.roll_back(3, &job).unwrap_err().error, "already_rolled_back");
}

#[test]
fn a_rollback_restores_the_snapshot_that_the_submit_named() {
    let mut stage = Stage::new("{}");
    let job = stage.submit(0, "2.0", Some("snap_old"));
    assert_eq!(stage.roll_back(1, &job), Ok(true));
    assert_eq!(stage.bot_version().as_deref(), Some("1.0"));
    assert_eq!(stage.environment.deployed().snapshot_id.as_deref(), Some("snap_old"));
}

#[test]
fn a_slow_rollback_is_in_progress_until_it_is_done() {
    let mut stage = Stage::new("rollbackDurationSeconds: 10");
    let job = stage.submit(0, "2.0", None);
    assert_eq!(stage.roll_back(1, &job), Ok(false));
    assert_eq!(stage.status(10, &job), "rolling_back");
    assert_eq!(stage.roll_back(10, &job).unwrap_err().error, "rollback_in_progress");
    assert_eq!(stage.status(11, &job), "rolled_back");
}

#[test]
fn a_rollback_of_a_running_job_stops_it() {
    let mut stage = Stage::new("jobDurationSeconds: 100");
    let job = stage.submit(0, "2.0", None);
    assert_eq!(stage.roll_back(1, &job), Ok(true));
    assert_eq!(stage.status(1000, &job), "rolled_back");
    assert_eq!(stage.bot_version(), None);
}

#[test]
fn a_job_whose_configuration_was_replaced_cannot_be_rolled_back() {
    let mut stage = Stage::new("{}");
    let older = stage.submit(0, "1.9", None);
    stage.submit(1, "2.0", None);
    assert_eq!(stage.roll_back(2, &older).unwrap_err().error, "superseded");
    assert_eq!(stage.bot_version().as_deref(), Some("2.0"));
}

#[test]
fn a_failed_job_leaves_the_environment_unhealthy_until_the_rollback() {
    let mut stage = Stage::new("jobOutcome: failed");
    let job = stage.submit(0, "2.0", None);
    assert_eq!(stage.health(), "unhealthy");
    assert_eq!(stage.roll_back(1, &job), Ok(true));
    assert_eq!(stage.health(), "healthy");
}

#[test]
fn the_platform_rolls_back_automatically_if_scripted() {
    let mut stage = Stage::new("{platformRollbackAfterSeconds: 30, deploymentsAreUnhealthy: true}");
    let job = stage.submit(0, "2.0", None);
    assert_eq!(stage.status(29, &job), "completed");
    assert_eq!(stage.health(), "unhealthy");
    assert_eq!(stage.status(30, &job), "rolled_back");
    assert_eq!(stage.health(), "healthy");
}

#[test]
fn an_automatic_rollback_keeps_the_configuration_of_a_later_job() {
    let mut stage = Stage::new("platformRollbackAfterSeconds: 30");
    let older = stage.submit(0, "1.9", None);
    stage.submit(10, "2.0", None);
    assert_eq!(stage.status(35, &older), "rolled_back");
    assert_eq!(stage.bot_version().as_deref(), Some("2.0"));
}

#[test]
fn health_depends_on_the_deployed_configuration() {
    let mut stage = Stage::new("badSnapshots: [{botVersion: '2.5'}]");
    stage.submit(0, "2.4", None);
    assert_eq!(stage.health(), "healthy");
    let job = stage.submit(1, "2.5", None);
    assert_eq!(stage.health(), "unhealthy");
    assert_eq!(stage.roll_back(2, &job), Ok(true));
    assert_eq!(stage.health(), "healthy");
}

#[test]
fn scripted_health_answers_come_first_and_in_order() {
    let mut stage = Stage::new("health: {answers: [unhealthy, {body: {status: odd}}, highErrorRate], then: honest}");
    let answers = [(); 5].map(|()| stage.health());
    assert_eq!(answers, ["unhealthy", "odd", "healthy", "healthy", "healthy"]);
}

#[test]
fn an_environment_is_unhealthy_as_many_times_as_scripted() {
    let mut stage = Stage::new("health: {unhealthyTimes: 2, answers: [{body: {status: odd}}]}");
    let answers = [(); 4].map(|()| stage.health());
    assert_eq!(answers, ["unhealthy", "unhealthy", "odd", "healthy"]);
}

#[test]
fn a_new_script_can_make_a_deployment_healthy_again() {
    let mut stage = Stage::new("deploymentsAreUnhealthy: true");
    stage.submit(0, "2.0", None);
    assert_eq!(stage.health(), "unhealthy");
    stage.environment.replace_script(EnvironmentScript::default());
    assert_eq!(stage.health(), "healthy");
}

#[test]
fn a_job_that_is_submitted_while_another_is_in_flight_is_recorded() {
    let mut stage = Stage::new("jobDurationSeconds: 10");
    let first = stage.submit(0, "1", None);
    stage.environment.advance(at(10), &stage.scenario);
    let second = stage.submit(10, "2", None);
    assert_eq!(stage.environment.overlaps(), []);
    let third = stage.submit(11, "3", None);
    let expected = Overlap { in_flight: second, submitted: third, at: at(11) };
    assert_eq!(stage.environment.overlaps(), [expected]);
    assert_eq!(stage.status(11, &first), "completed");
}
