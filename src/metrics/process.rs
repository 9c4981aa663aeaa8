//! Metrics of the process, under the names that every Prometheus client uses
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::fmt;
use std::fs;

/// Linux reports a process's time in hundredths of a second, regardless of the kernel's own clock (proc(5), `USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
pub(super) struct Process {
    /// Seconds since 1970.
    started_at: f64,
}

impl Process {
    /// Takes the current time as the start of the process.
    pub(super) fn begin() -> Self {
        Self { started_at: Timestamp::now().as_duration().as_secs_f64() }
    }
}

impl Collector for Process {
    /// Leaves out values that the system does not provide.
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let started_at = ConstGauge::new(self.started_at);
        let help = "Start time of the process, in seconds since 1970";
        let metric =
            encoder.encode_descriptor("process_start_time", help, Some(&Unit::Seconds), started_at.metric_type())?;
        started_at.encode(metric)?;
        if let Some(seconds) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(processor_seconds) {
            let used = ConstCounter::new(seconds);
            let help = "Processor time used, in user and system mode";
            let metric = encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), used.metric_type())?;
            used.encode(metric)?;
        }
        if let Some(bytes) = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident_bytes) {
            let resident = ConstGauge::new(bytes);
            let help = "Resident memory";
            let metric = encoder.encode_descriptor(
                "process_resident_memory",
                help,
                Some(&Unit::Bytes),
                resident.metric_type(),
            )?;
            resident.encode(metric)?;
        }
        Ok(())
    }
}

/// User and system time in `/proc/self/stat`: the 14th and 15th field. The second field, a name, may contain spaces and
/// parentheses.
fn processor_seconds(stat: &str) -> Option<f64> {
    let (_, behind_the_name) = stat.rsplit_once(')')?;
    let mut ticks = behind_the_name.split_whitespace().skip(11).map(str::parse::<u32>);
    let (user, system) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

/// `VmRSS` in `/proc/self/status`, which is in KiB.
fn resident_bytes(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim_end().parse::<i64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_time_is_read_for_any_name_of_the_process() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 900 0 3 0 150 25 0 0 20 0 4 0 100 1000 10";
        assert_eq!(processor_seconds(stat), Some(1.75));
        assert_eq!(processor_seconds("7 (a) S 1"), None);
    }

    #[test]
    fn resident_memory_is_shown_in_bytes() {
        assert_eq!(resident_bytes("VmPeak:\t  900 kB\nVmRSS:\t    34 kB\n"), Some(34 * 1024));
        assert_eq!(resident_bytes("VmPeak:\t  900 kB\n"), None);
    }
}
