//! `make bench`: compares this project with the Go originals, and with the least
//! that is possible, on this machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use bench::Launch;
use bench::gossip::{Phase, Plan, Run, Sides};
use bench::isolation;
use bench::push;
use bench::report;
use clap::{Args, Parser, Subcommand};
use serde::Serialize;

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Gossip and ring against dskit.
    Gossip(Gossip),
    /// The write path against a server that only inflates and walks.
    Push(Push),
    /// One cluster of either side; prints its measurements as JSON.
    #[command(hide = true)]
    Phase(OnePhase),
}

#[derive(Debug, Args)]
struct Gossip {
    /// Sizes of clusters.
    #[arg(long, value_delimiter = ',', default_value = "16,64,128")]
    nodes: Vec<usize>,
    /// How often each cluster is started to see it join.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// dskit's node program, built from `e2e/peers/bench`.
    #[arg(long)]
    go: PathBuf,
    /// This project's node program; by default the one beside this executable.
    #[arg(long)]
    rust: Option<PathBuf>,
    /// Folder for the results and for what nodes complain about.
    #[arg(long, default_value = "build/bench")]
    out: PathBuf,
    /// Leaves out crashes, which take the detector most of a minute.
    #[arg(long)]
    no_crashes: bool,
    /// Arguments for every phase, such as `--idle=10`.
    #[arg(last = true)]
    arguments: Vec<String>,
}

#[derive(Debug, Args)]
struct Push {
    /// Profiles of each run.
    #[arg(long, default_value_t = 8000)]
    profiles: usize,
    /// How often each case is run.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Sizes of clusters; every node has every profile.
    #[arg(long, value_delimiter = ',', default_value = "1,3")]
    nodes: Vec<usize>,
    /// Leaves out pushes and queries beside each other.
    #[arg(long)]
    no_isolation: bool,
    /// The data plane's executable; by default the one beside this executable.
    #[arg(long)]
    pyroscope: Option<PathBuf>,
    /// Folder for the results, logs and data.
    #[arg(long, default_value = "build/bench")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct OnePhase {
    #[arg(long)]
    phase: Phase,
    #[arg(long)]
    program: PathBuf,
    #[arg(long)]
    nodes: usize,
    #[arg(long, default_value_t = 77)]
    network: u8,
    #[arg(long, default_value = "/dev/null")]
    log: PathBuf,
    /// This process has a network of its own, whose loopback device is down.
    #[arg(long)]
    isolated: bool,
    /// Further flags for the nodes.
    #[arg(long, allow_hyphen_values = true)]
    flag: Vec<String>,
    /// Values to spread.
    #[arg(long, default_value_t = 12)]
    values: usize,
    /// Seconds between joining and anything else.
    #[arg(long, default_value_t = 8.0)]
    settle: f64,
    /// Seconds of the idle window; a minute or one period of push/pulls when
    /// it is not given.
    #[arg(long)]
    idle: Option<f64>,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Gossip(gossip) => gossip.run(),
        Command::Push(push) => push.run(),
        Command::Phase(phase) => phase.run(),
    }
}

impl Gossip {
    fn run(self) -> Result<()> {
        let bench = std::env::current_exe()?;
        let rust = self
            .rust
            .unwrap_or_else(|| bench.with_file_name("gossip-node"));
        make(&self.out)?;
        let plan = Plan {
            bench,
            programs: Sides { rust, go: self.go },
            nodes: self.nodes,
            rounds: self.rounds,
            crashes: !self.no_crashes,
            arguments: self.arguments,
            folder: self.out.clone(),
        };
        let path = self.out.join("gossip.json");
        plan.run(|results| {
            write(&path, results)?;
            print!("{}", report::latest(results));
            Ok(())
        })
    }
}

impl Push {
    fn run(self) -> Result<()> {
        let bench = std::env::current_exe()?;
        make(&self.out)?;
        let plan = push::Plan {
            programs: push::Programs {
                pyroscope: self
                    .pyroscope
                    .unwrap_or_else(|| bench.with_file_name("pyroscope")),
                floor: bench.with_file_name("push-floor"),
                load: bench.with_file_name("push-load"),
            },
            profiles: self.profiles,
            rounds: self.rounds,
            nodes: self.nodes,
            isolation: !self.no_isolation,
            folder: self.out.clone(),
        };
        let path = self.out.join("push.json");
        plan.run(|results| {
            write(&path, results)?;
            print!("{}", push::latest(results));
            Ok(())
        })
    }
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn write(path: &Path, results: &impl Serialize) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(serde_json::to_writer_pretty(file, results)?)
}

impl OnePhase {
    fn run(self) -> Result<()> {
        if self.isolated {
            isolation::raise_loopback()?;
        }
        let run = Run {
            launch: Launch {
                program: self.program,
                flags: self.flag,
                nodes: self.nodes,
                network: self.network,
                log: self.log,
            },
            values: self.values,
            settle: Duration::from_secs_f64(self.settle),
            idle: self.idle.map(Duration::from_secs_f64),
        };
        let result = match self.phase {
            Phase::Converge => serde_json::to_string(&run.converge()?)?,
            Phase::Steady => serde_json::to_string(&run.steady(self.isolated)?)?,
            Phase::Detect => serde_json::to_string(&run.detect()?)?,
        };
        println!("{result}");
        Ok(())
    }
}
