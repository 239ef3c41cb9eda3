//! What is measured, in which order.

use std::io::{Write, stderr};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::disk;
use super::load::{Latency, Load, Pushed, Queried};
use super::servers::Servers;
use crate::machine::Machine;

/// Clients that push at once.
const CLIENTS: usize = 8;
/// Replicas of the last answer's profile may still be written when it arrives.
const SETTLE: Duration = Duration::from_secs(1);
/// Profiles a second while heavy queries run: a fraction of what a node takes.
const STEADY_RATE: usize = 200;
/// Clients that make heavy queries at once, as many as small machines have cores.
const QUERY_CLIENTS: usize = 2;
const QUERIES: usize = 20;

/// Executables.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The data plane.
    pub pyroscope: PathBuf,
    /// The least that a server can do.
    pub floor: PathBuf,
    /// The load generator.
    pub load: PathBuf,
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What to run.
    pub programs: Programs,
    /// Profiles of each run.
    pub profiles: usize,
    /// How often each case is run; at least once.
    pub rounds: usize,
    /// Cases: a number of nodes, which is the replication factor too.
    pub nodes: Vec<usize>,
    /// Whether queries and pushes are measured beside each other as well.
    pub isolation: bool,
    /// Where data and logs go: the disk that is measured.
    pub folder: PathBuf,
}

/// Everything that was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// Where.
    pub machine: Machine,
    /// How long a small write takes to be durable.
    pub fsync: Latency,
    /// Runs of the floor, one before each run of a case.
    pub floor: Vec<Measured>,
    /// Runs of the data plane.
    pub cases: Vec<Case>,
    /// Pushes and queries beside each other.
    pub isolation: Option<Isolation>,
}

/// One size of cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// How many nodes, each of which has every profile.
    pub nodes: usize,
    /// Each run.
    pub runs: Vec<Measured>,
}

/// What one run costs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// What the clients saw.
    pub pushed: Pushed,
    /// Processor time of all servers, in seconds.
    pub cpu: f64,
    /// Resident bytes of each server at the end.
    pub resident: Vec<f64>,
    /// Bytes in all write-ahead logs at the end.
    pub wal_bytes: u64,
}

/// Pushes and queries of one node, alone and beside each other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Isolation {
    /// Pushes at a moderate rate.
    pub pushes: Pushed,
    /// The same while heavy queries run.
    pub pushes_beside_queries: Pushed,
    /// Those queries.
    pub heavy_queries: Queried,
    /// Queries of one client.
    pub queries: Queried,
    /// The same while clients push as much as they can.
    pub queries_beside_pushes: Queried,
    /// Those pushes.
    pub storm: Pushed,
}

impl Plan {
    /// Measures everything, and says on standard error what it is doing. Hands
    /// over what there is after each case.
    ///
    /// # Errors
    ///
    /// Fails when a push or a query does, or the hand-over.
    pub fn run(&self, mut hand_over: impl FnMut(&Results) -> Result<()>) -> Result<()> {
        let mut results = Results {
            machine: Machine::look()?,
            fsync: disk::probe(&self.folder)?,
            floor: Vec::new(),
            cases: Vec::new(),
            isolation: None,
        };
        for &nodes in &self.nodes {
            let mut runs = Vec::with_capacity(self.rounds);
            for _ in 0..self.rounds {
                results.floor.push(self.floor()?);
                runs.push(self.case(nodes)?);
            }
            results.cases.push(Case { nodes, runs });
            hand_over(&results)?;
        }
        if self.isolation {
            results.isolation = Some(self.isolation()?);
            hand_over(&results)?;
        }
        Ok(())
    }

    fn floor(&self) -> Result<Measured> {
        writeln!(stderr(), "==> floor")?;
        self.measure(&Servers::floor(&self.programs.floor, &self.folder)?, 0)
    }

    fn case(&self, nodes: usize) -> Result<Measured> {
        writeln!(stderr(), "==> {nodes} nodes, replication factor {nodes}")?;
        self.measure(&self.servers(nodes)?, nodes)
    }

    fn servers(&self, nodes: usize) -> Result<Servers> {
        Servers::pyroscope(&self.programs.pyroscope, nodes, nodes, &self.folder)
    }

    fn measure(&self, servers: &Servers, ingesters: usize) -> Result<Measured> {
        let mut load = self.pushes(servers, self.profiles, 0, &[("--ingesters", ingesters)])?;
        let before = servers.cpu_seconds()?;
        load.begin()?;
        let pushed: Pushed = load.finish()?;
        ensure!(pushed.profiles == self.profiles, "not all were pushed");
        thread::sleep(SETTLE);
        Ok(Measured {
            pushed,
            cpu: servers.cpu_seconds()? - before,
            resident: servers.resident()?,
            wal_bytes: servers.wal_bytes()?,
        })
    }

    /// Runs on a node that has the profiles of a whole run.
    fn isolation(&self) -> Result<Isolation> {
        writeln!(stderr(), "==> pushes and queries beside each other")?;
        let servers = self.servers(1)?;
        self.measure(&servers, 1)?;
        let (steady, storm) = (self.profiles.div_ceil(4), self.profiles * 3);
        let mut skip = self.profiles;
        let mut pushing = |profiles, more: &[(&str, usize)]| {
            let load = self.pushes(&servers, profiles, skip, more);
            skip += profiles;
            load
        };
        let pushes = alone(pushing(steady, &[("--rate", STEADY_RATE)])?)?;
        let beside = pushing(steady, &[("--rate", STEADY_RATE)])?;
        let endless = self.queries(&servers, usize::MAX, QUERY_CLIENTS)?;
        let (pushes_beside_queries, heavy_queries) = beside_each_other(beside, endless)?;
        let queries = alone(self.queries(&servers, QUERIES, 1)?)?;
        let storming = pushing(storm, &[])?;
        let measured = self.queries(&servers, QUERIES, 1)?;
        let (queries_beside_pushes, storm) = beside_each_other(measured, storming)?;
        Ok(Isolation {
            pushes,
            pushes_beside_queries,
            heavy_queries,
            queries,
            queries_beside_pushes,
            storm,
        })
    }

    fn pushes(
        &self,
        servers: &Servers,
        profiles: usize,
        skip: usize,
        more: &[(&str, usize)],
    ) -> Result<Load> {
        let own = [
            ("--profiles", profiles),
            ("--skip", skip),
            ("--clients", CLIENTS),
        ];
        self.load("push", servers, own.iter().chain(more))
    }

    fn queries(&self, servers: &Servers, queries: usize, clients: usize) -> Result<Load> {
        let arguments = [("--queries", queries), ("--clients", clients)];
        self.load("query", servers, arguments.iter())
    }

    fn load<'a>(
        &self,
        what: &str,
        servers: &Servers,
        arguments: impl Iterator<Item = &'a (&'a str, usize)>,
    ) -> Result<Load> {
        let mut words = vec![what.to_owned()];
        words.extend(arguments.map(|(name, value)| format!("{name}={value}")));
        Load::prepare(&self.programs.load, &servers.targets, &words)
    }
}

fn alone<T: DeserializeOwned>(mut load: Load) -> Result<T> {
    load.begin()?;
    load.finish()
}

/// Runs `measured` while `other` runs, which ends with it.
fn beside_each_other<A, B>(mut measured: Load, mut other: Load) -> Result<(A, B)>
where
    A: DeserializeOwned,
    B: DeserializeOwned,
{
    other.begin()?;
    measured.begin()?;
    Ok((measured.finish()?, other.stop()?))
}
