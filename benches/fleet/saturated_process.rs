//! A busy fleet with a real operator process, in real time: the memory and the processor time of the process.

use crate::Failure;
use crate::fleet::{Fleet, Policy, SimulatedUsers, name_of};
use crate::platform::PlatformBehaviour;
use crate::process::Process;
use crate::report::Line;
use crate::report::Target::{self, AtMost};
use crate::rollouts::rollouts_of;
use crate::stage::Stage;
use crate::time::Time;
use crate::yardstick::Yardstick;
use simulator::Server;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The number of resources.
const SIZE: usize = 150;
/// The time before the measurement begins.
const WARM_UP: Duration = Duration::from_secs(3 * 60);

/// Measures for this long after the warm-up.
///
/// # Errors
/// If the platform, the operator or the API server fails.
pub async fn measure(stage: &Stage, length: Duration) -> Result<Vec<Line>, Failure> {
    let fleet = Fleet::of(SIZE);
    let behaviour = PlatformBehaviour { job_seconds: 60, requests_per_minute: 100 };
    let bad = fleet.members.iter().filter(|member| member.is_bad).map(|member| member.environment.as_str());
    let platform = Server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), behaviour.scenario(bad)?, None).await?;
    let (world, epoch) = (platform.handle(), platform.handle().now());
    let real_time = Time::new();
    let client = stage.client(&real_time).await?;

    let process = Process::start(stage).await?;
    let before = process.resident_kib()?;
    fleet.make(&client, &platform.url(), Policy { timeout_seconds: 300, opens_at: None }).await?;
    let users = SimulatedUsers::new(client, real_time);
    let read = fleet.members.first().ok_or(Failure::Ended("the fleet"))?;
    let watched = async {
        tokio::time::sleep(WARM_UP).await;
        let (used, written, at) = (process.processor()?, writes(&process).await?, world.now());
        let yardstick = Yardstick::start(stage.kubeconfig(), name_of(read.namespace), read.name.clone())?;
        tokio::time::sleep(length).await;
        let (used, written) = (process.processor()? - used, writes(&process).await? - written);
        Ok::<_, Failure>((used, written, at, yardstick.read().await?))
    };
    let (used, writes, from, one_read) = tokio::select! {
        watched = watched => watched?,
        failure = users.keep_busy() => return Err(failure),
    };
    let most = process.most_resident_kib()?;
    let from = Duration::try_from(from.duration_since(epoch)).unwrap_or_default();
    let (ended, refused) = world.with(|world| {
        let rollouts = rollouts_of(world, epoch, &fleet, Duration::from_secs(behaviour.job_seconds.into()));
        let ended = rollouts.iter().filter(|rollout| rollout.audited.is_some_and(|at| at >= from)).count();
        (ended as f64, world.traffic().map(|(_, traffic)| traffic.refused).sum::<u64>())
    });
    let line = |what, measured, target| Line { what, measured, target };
    let (rollout, one_read) = (used.as_secs_f64() * 1000.0 / ended, one_read.as_secs_f64() * 1000.0);
    Ok(vec![
        line("resident when ready, MiB", before / 1024.0, Target::None),
        line("most resident, MiB", most / 1024.0, Target::None),
        line("growth, MiB", (most - before) / 1024.0, AtMost(25.0)),
        line("processor for a rollout, ms", rollout, AtMost(10.0)),
        line("processor to read one resource, ms", one_read, Target::None),
        line("a rollout, as reads of one resource", rollout / one_read, Target::None),
        line("Kubernetes writes for a rollout", writes / ended, Target::None),
        line("rollouts an hour", ended * 3600.0 / length.as_secs_f64(), Target::None),
        line("rollouts measured", ended, Target::None),
        line("429s", refused as f64, AtMost(0.0)),
    ])
}

async fn writes(process: &Process) -> Result<f64, Failure> {
    process.counted("cognigy_operator_kubernetes_writes_total").await
}
