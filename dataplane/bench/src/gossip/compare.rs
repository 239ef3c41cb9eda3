//! Both sides, several sizes.

use std::fs;
use std::io::{Write, stderr};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::phase::{Converged, Detected, Phase, Steady};
use crate::isolation::Isolation;
use crate::machine::Machine;

/// One of each.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sides<T> {
    /// This project.
    pub rust: T,
    /// dskit.
    pub go: T,
}

/// What to compare.
#[derive(Clone, Debug)]
pub struct Plan {
    /// This executable, which runs each phase in a process of its own.
    pub bench: PathBuf,
    /// Programs of one node.
    pub programs: Sides<PathBuf>,
    /// Sizes of clusters.
    pub nodes: Vec<usize>,
    /// How often each cluster is started to see it join; at least once.
    pub rounds: usize,
    /// Whether nodes crash as well.
    pub crashes: bool,
    /// Arguments for the processes that run phases.
    pub arguments: Vec<String>,
    /// Where logs go.
    pub folder: PathBuf,
}

/// Everything that was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// Where.
    pub machine: Machine,
    /// Each size of cluster.
    pub comparisons: Vec<Comparison>,
}

/// What was measured with one size of cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// How many nodes.
    pub nodes: usize,
    /// Each start, that of [`Self::steady`] last.
    pub converged: Sides<Vec<Converged>>,
    /// Values and the idle window.
    pub steady: Sides<Steady>,
    /// Crashes, unless left out. Both sides went through them at the same time.
    pub detected: Option<Sides<Detected>>,
}

impl Plan {
    /// Measures everything, and says on standard error what it is doing. Hands
    /// over what there is after each size, so that a run that is cut short
    /// leaves something.
    ///
    /// # Errors
    ///
    /// Fails when a phase or the hand-over does.
    pub fn run(&self, mut hand_over: impl FnMut(&Results) -> Result<()>) -> Result<()> {
        let mut results = Results {
            machine: Machine::look()?,
            comparisons: Vec::new(),
        };
        let isolation = Isolation::detect();
        for &nodes in &self.nodes {
            results.comparisons.push(self.compare(nodes, isolation)?);
            hand_over(&results)?;
        }
        Ok(())
    }

    fn compare(&self, nodes: usize, isolation: Isolation) -> Result<Comparison> {
        let phases = Phases {
            plan: self,
            nodes,
            isolation,
        };
        let mut converged = Sides {
            rust: Vec::new(),
            go: Vec::new(),
        };
        for _ in 1..self.rounds {
            converged.rust.push(phases.run("rust", Phase::Converge)?);
            converged.go.push(phases.run("go", Phase::Converge)?);
        }
        let steady: Sides<Steady> = Sides {
            rust: phases.run("rust", Phase::Steady)?,
            go: phases.run("go", Phase::Steady)?,
        };
        converged.rust.push(steady.rust.converged.clone());
        converged.go.push(steady.go.converged.clone());
        let detected = self.crashes.then(|| phases.detect()).transpose()?;
        Ok(Comparison {
            nodes,
            converged,
            steady,
            detected,
        })
    }
}

/// Runs phases with one size of cluster.
struct Phases<'p> {
    plan: &'p Plan,
    nodes: usize,
    isolation: Isolation,
}

impl Phases<'_> {
    fn run<T: DeserializeOwned>(&self, side: &str, phase: Phase) -> Result<T> {
        self.finish(self.spawn(side, phase)?)
    }

    /// Detection is a matter of timers, so both sides wait at the same time.
    fn detect(&self) -> Result<Sides<Detected>> {
        let rust = self.spawn("rust", Phase::Detect)?;
        let go = self.spawn("go", Phase::Detect)?;
        Ok(Sides {
            rust: self.finish(rust)?,
            go: self.finish(go)?,
        })
    }

    fn spawn(&self, side: &str, phase: Phase) -> Result<(Child, String)> {
        let Plan { folder, .. } = self.plan;
        let (program, network) = match side {
            "rust" => (&self.plan.programs.rust, 77),
            _ => (&self.plan.programs.go, 78),
        };
        let what = format!("{side} {} {phase:?}", self.nodes).to_lowercase();
        writeln!(stderr(), "==> {what}")?;
        let mut command = self.isolation.command(&self.plan.bench);
        command.arg("phase");
        command.args(["--phase", &format!("{phase:?}").to_lowercase()]);
        command.arg("--program").arg(program);
        command.args(["--nodes", &self.nodes.to_string()]);
        command.args(["--network", &network.to_string()]);
        command.arg("--log").arg(folder.join(format!("{side}.log")));
        if self.isolation != Isolation::None {
            command.arg("--isolated");
        }
        command.args(&self.plan.arguments);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a phase")?;
        Ok((child, what))
    }

    /// Reads the result of a phase, and keeps it in a file: a later phase may fail.
    fn finish<T: DeserializeOwned>(&self, (child, what): (Child, String)) -> Result<T> {
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{what}: {}", output.status);
        let file = self
            .plan
            .folder
            .join(format!("{}.json", what.replace(' ', "-")));
        fs::write(&file, &output.stdout)
            .with_context(|| format!("cannot write {}", file.display()))?;
        serde_json::from_slice(&output.stdout).with_context(|| format!("{what}: unreadable result"))
    }
}
