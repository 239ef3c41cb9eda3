//! The load generator, a process of its own: its processor time is not the
//! servers'.
//!
//! It prepares what it is going to send, prints a line, and begins when it gets
//! one. It ends when its work is done or it gets another line, and prints
//! its result as JSON.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Where a number of times lie, in seconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Latency {
    /// Half are shorter.
    pub p50: f64,
    /// 90 % are shorter.
    pub p90: f64,
    /// 99 % are shorter.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Latency {
    /// Sorts times, in seconds; zeros of none.
    pub fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * seconds.len() as f64).ceil() as usize;
            let index = rank.clamp(1, seconds.len().max(1)) - 1;
            seconds.get(index).copied().unwrap_or_default()
        };
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: at(1.0),
        }
    }
}

/// What pushing came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pushed {
    /// Profiles that were acknowledged.
    pub profiles: usize,
    /// Bytes of their requests' bodies.
    pub bytes: u64,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// From sending a request, or from when it was due if there is a rate, to the
    /// end of the answer.
    pub latency: Latency,
}

/// What querying came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Queried {
    /// Queries that were answered.
    pub queries: usize,
    /// Mean size of an answer.
    pub answer_bytes: f64,
    /// From sending a request to the end of the answer.
    pub latency: Latency,
}

/// A load generator that is ready to begin.
pub(super) struct Load {
    child: Child,
    commands: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Load {
    /// Starts one against the servers at `targets` and waits until it is ready.
    pub(super) fn prepare(
        program: &Path,
        targets: &[String],
        arguments: &[String],
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .args(["--targets", &targets.join(",")]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let commands = child.stdin.take().context("a process without input")?;
        let output = child.stdout.take().context("a process without output")?;
        let mut load = Self {
            child,
            commands,
            output: BufReader::new(output),
        };
        ensure!(load.line()?.trim() == "ready", "{arguments:?}: not ready");
        Ok(load)
    }

    pub(super) fn begin(&mut self) -> Result<()> {
        writeln!(self.commands, "go").context("the load generator is gone")
    }

    /// Waits until it has done all its work.
    pub(super) fn finish<T: DeserializeOwned>(mut self) -> Result<T> {
        let line = self.line()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "load generator: {status}");
        serde_json::from_str(&line).with_context(|| format!("not a result: {line:?}"))
    }

    /// Lets it end what is under way and no more.
    pub(super) fn stop<T: DeserializeOwned>(mut self) -> Result<T> {
        // One that has finished no longer reads.
        drop(writeln!(self.commands, "stop"));
        self.finish()
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the load generator ended early");
        Ok(line)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let latency = Latency::of((1..=200).rev().map(f64::from).collect());
        let Latency { p50, p90, p99, max } = latency;
        assert_eq!([p50, p90, p99, max], [100.0, 180.0, 198.0, 200.0]);
        assert_eq!(Latency::of(vec![7.0]).p99, 7.0);
        assert_eq!(Latency::of(Vec::new()).max, 0.0);
    }
}
