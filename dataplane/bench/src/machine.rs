//! The machine that a comparison ran on.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::procfs::machine_cpu_seconds;

/// Share of one core that may be busy before a run for it to count as quiet.
const QUIET: f64 = 0.15;

/// What a reader of figures wants to know of the machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Logical processors.
    pub cores: usize,
    /// The processor's name.
    pub processor: String,
    /// The kernel's version.
    pub kernel: String,
    /// Load averages before the run.
    pub load: String,
    /// Cores that were busy in the two seconds before the run.
    pub busy_cores: f64,
}

impl Machine {
    /// Looks at the machine for two seconds.
    ///
    /// # Errors
    ///
    /// Fails when there is no `/proc`.
    pub fn look() -> Result<Self> {
        let first_line = |path: &str| {
            let content = fs::read_to_string(path).unwrap_or_default();
            content.lines().next().unwrap_or_default().to_owned()
        };
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = processors
            .lines()
            .find(|line| line.starts_with("model name"));
        let before = machine_cpu_seconds()?;
        thread::sleep(Duration::from_secs(2));
        Ok(Self {
            cores: thread::available_parallelism().map_or(0, usize::from),
            processor: model
                .and_then(|line| line.split_once(": "))
                .map_or_else(String::new, |(_, name)| name.to_owned()),
            kernel: first_line("/proc/sys/kernel/osrelease"),
            load: first_line("/proc/loadavg"),
            busy_cores: (machine_cpu_seconds()? - before) / 2.0,
        })
    }

    /// Returns whether latencies and the machine's processor time mean
    /// something here and now.
    pub fn is_quiet(&self) -> bool {
        self.busy_cores <= QUIET
    }
}
