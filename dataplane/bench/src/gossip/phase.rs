//! What is measured on one cluster.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::cluster::{Cluster, Launch, PATIENCE};
use crate::node::{self, Event, Kind, VALUE_PREFIX};
use crate::procfs::{self, Memory, Traffic};
use crate::statistics::{median, worst};

/// How long after the start the first push/pulls are over that nodes begin at
/// random within their interval.
const STAGGER: Duration = Duration::from_secs(30);
/// How long the processes may take to start.
const STARTING: Duration = Duration::from_secs(5);
/// Quiet time between the last value and the idle window.
const CALM: Duration = Duration::from_secs(5);
/// With more than one node in so many that do not converge there is no cluster
/// to measure.
const MOST_STRAGGLERS: usize = 20;
/// Longest wait for a crash to be known everywhere: suspicion alone may take
/// over four minutes in a cluster of 128.
const DETECTION_PATIENCE: Duration = Duration::from_secs(400);

/// A part of the comparison that one cluster runs through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Phase {
    /// Joining alone: [`Converged`].
    Converge,
    /// Joining, spreading values, then nothing: [`Steady`].
    Steady,
    /// Crashes: [`Detected`].
    Detect,
}

/// One cluster and what to do with it.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its nodes.
    pub launch: Launch,
    /// Values to spread.
    pub values: usize,
    /// Pause between joining and anything else.
    pub settle: Duration,
    /// How long the cluster is watched while nothing happens; `None` takes a
    /// minute or, in large clusters, one period of push/pulls.
    pub idle: Option<Duration>,
}

/// How a cluster came together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Converged {
    /// Seconds from the start of the last wave of nodes until each knew all
    /// members and saw each of their instances ACTIVE; how long was waited for
    /// it if some did not come so far.
    pub seconds: f64,
    /// Nodes that did not come so far.
    pub stragglers: usize,
}

/// How values spread and what an idle cluster costs, per node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Steady {
    /// How it came together before.
    pub converged: Converged,
    /// Seconds from adding an instance until half of the nodes saw it, of each
    /// value.
    pub half: Vec<f64>,
    /// Seconds until all saw it.
    pub all: Vec<f64>,
    /// Length of the idle window in seconds.
    pub window: f64,
    /// Processor seconds per second.
    pub cpu: f64,
    /// Processor seconds per second of the whole machine, divided by the
    /// nodes.
    pub machine_cpu: f64,
    /// Payload bytes of packets and full states sent per second, as counted by
    /// the nodes.
    pub payload_bytes: f64,
    /// Packets sent per second, as counted by the nodes.
    pub packets: f64,
    /// What went through the loopback device per second; `None` when the
    /// cluster had no network of its own.
    pub traffic: Option<Traffic>,
    /// Memory after the window, mean over the nodes.
    pub memory: Memory,
}

/// How fast crashes were known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Detected {
    /// Seconds until the first survivor knew, of each crash.
    pub first: Vec<f64>,
    /// Seconds until all survivors knew; how long was waited for it if some
    /// never did.
    pub last: Vec<f64>,
}

impl Run {
    /// Joins.
    ///
    /// # Errors
    ///
    /// Fails when a node does, or does not come so far in minutes.
    pub fn converge(&self) -> Result<Converged> {
        self.joined().map(|(_, converged)| converged)
    }

    /// Joins, spreads values and watches the cluster do nothing. `isolated`
    /// says that the loopback device serves this cluster alone.
    ///
    /// # Errors
    ///
    /// As [`Self::converge`].
    pub fn steady(&self, isolated: bool) -> Result<Steady> {
        let began = Instant::now();
        let (mut cluster, converged) = self.joined()?;
        thread::sleep(self.settle);
        let (half, all) = self.spread(&mut cluster)?;
        cluster.observe("nothing")?;
        thread::sleep(CALM.min(self.settle));
        if self.idle.is_none() {
            thread::sleep((STAGGER + STARTING).saturating_sub(began.elapsed()));
        }

        let counted = Counted::now(&mut cluster)?;
        let started = Spent::now(&cluster)?;
        thread::sleep(self.window());
        let spent = Spent::now(&cluster)?;
        let memory = mean_memory(&cluster)?;
        let counted = Counted::now(&mut cluster)?.since(&counted);

        let seconds = (spent.at - started.at).as_secs_f64();
        let share = seconds * self.launch.nodes as f64;
        let traffic = spent.traffic - started.traffic;
        Ok(Steady {
            converged,
            half,
            all,
            window: seconds,
            cpu: (spent.cpu - started.cpu) / share,
            machine_cpu: (spent.machine_cpu - started.machine_cpu) / share,
            payload_bytes: counted.payload_bytes / share,
            packets: counted.packets / share,
            traffic: isolated.then(|| Traffic {
                bytes: traffic.bytes / share,
                packets: traffic.packets / share,
                connections: traffic.connections / share,
            }),
            memory,
        })
    }

    /// Joins, kills some nodes at once and waits until all others know.
    ///
    /// # Errors
    ///
    /// As [`Self::converge`].
    pub fn detect(&self) -> Result<Detected> {
        let (mut cluster, _) = self.joined()?;
        cluster.observe("members")?;
        thread::sleep(self.settle / 2);
        let victims = self.victims();
        let mut killed = Vec::with_capacity(victims.len());
        for victim in &victims {
            killed.push((node::name(*victim), cluster.kill(*victim)?));
        }
        let survivors = self.launch.nodes - victims.len();
        let is_lost = |event: &Event| {
            let named = |(name, _): &(String, i64)| Some(name) == event.id.as_ref();
            event.event == Kind::Lost && killed.iter().any(named)
        };
        let lost = cluster.gather(
            "lost",
            survivors * victims.len(),
            DETECTION_PATIENCE,
            is_lost,
        )?;
        let mut detected = Detected {
            first: Vec::new(),
            last: Vec::new(),
        };
        for (name, at) in &killed {
            let events = lost.iter().filter(|event| event.id.as_ref() == Some(name));
            let mut delays: Vec<f64> = events.map(|event| seconds(*at, event.at)).collect();
            let missing = survivors.saturating_sub(delays.len());
            ensure!(
                missing <= survivors / MOST_STRAGGLERS,
                "{missing} of {survivors} nodes do not know of {name} after {DETECTION_PATIENCE:?}"
            );
            if missing > 0 {
                delays.push(DETECTION_PATIENCE.as_secs_f64());
            }
            detected
                .first
                .push(delays.iter().copied().fold(f64::NAN, f64::min));
            detected.last.push(worst(&delays));
        }
        Ok(detected)
    }

    fn joined(&self) -> Result<(Cluster, Converged)> {
        let (cluster, released) = Cluster::start(&self.launch)
            .with_context(|| format!("see {}", self.launch.log.display()))?;
        let nodes = cluster.len();
        let events = cluster.gather("converged", nodes, PATIENCE, |event| {
            event.event == Kind::Converged
        })?;
        let stragglers = nodes - events.len();
        ensure!(
            stragglers <= nodes / MOST_STRAGGLERS,
            "{stragglers} of {nodes} nodes do not know all others after {PATIENCE:?}"
        );
        let delays = events.iter().map(|event| seconds(released, event.at));
        let waited = (stragglers > 0).then_some(PATIENCE.as_secs_f64());
        let converged = Converged {
            seconds: worst(&delays.chain(waited).collect::<Vec<f64>>()),
            stragglers,
        };
        Ok((cluster, converged))
    }

    /// Adds instances on changing nodes, one after the other, and returns how
    /// long each took to reach half and all nodes. Removes them in the end.
    fn spread(&self, cluster: &mut Cluster) -> Result<(Vec<f64>, Vec<f64>)> {
        cluster.observe("ring")?;
        let (mut half, mut all) = (Vec::new(), Vec::new());
        for value in 0..self.values {
            // Coprime to the usual sizes, so that origins differ.
            let origin = (7 + value * 11) % self.launch.nodes;
            let id = format!("{VALUE_PREFIX}{value:02}");
            cluster.tell(origin, &format!("add {id}"))?;
            let about_it = |event: &Event| event.id.as_ref() == Some(&id);
            let count = self.launch.nodes + 1;
            let events = cluster.collect(&id, count, PATIENCE, about_it)?;
            let (origin, seen): (Vec<_>, Vec<_>) =
                events.iter().partition(|event| event.event == Kind::Adding);
            let added = origin.first().context("nobody has added it")?.at;
            let delays: Vec<f64> = seen.iter().map(|event| seconds(added, event.at)).collect();
            half.push(median(&delays));
            all.push(worst(&delays));
            // Not in step with the gossip interval.
            thread::sleep(Duration::from_millis(130 + 37 * (value as u64 % 7)));
        }
        cluster.tell(0, &format!("remove {VALUE_PREFIX}"))?;
        Ok((half, all))
    }

    /// Returns a time in which each node does as many push/pulls as the next:
    /// their period, which doubles and triples beyond 32 and 64 nodes.
    fn window(&self) -> Duration {
        let minute = Duration::from_secs(60);
        let scale = (self.launch.nodes as f64 / 32.0).log2().ceil().max(0.0) + 1.0;
        self.idle
            .unwrap_or_else(|| minute.max(STAGGER.mul_f64(scale)))
    }

    /// Returns nodes to kill: few enough that the cluster stays what it was,
    /// and never the first.
    fn victims(&self) -> Vec<usize> {
        let most = (self.launch.nodes / 5).max(1);
        let count = (self.launch.nodes / 20).clamp(3, 6).min(most);
        (1..=count)
            .map(|i| i * self.launch.nodes / (count + 1))
            .collect()
    }
}

/// What the kernel has counted at a moment.
struct Spent {
    at: Duration,
    cpu: f64,
    machine_cpu: f64,
    traffic: Traffic,
}

impl Spent {
    fn now(cluster: &Cluster) -> Result<Self> {
        let at = u64::try_from(node::unix_nanos()).unwrap_or(0);
        let cpu: Result<Vec<f64>> = cluster.pids().map(procfs::cpu_seconds).collect();
        Ok(Self {
            at: Duration::from_nanos(at),
            cpu: cpu?.iter().sum(),
            machine_cpu: procfs::machine_cpu_seconds()?,
            traffic: Traffic::now()?,
        })
    }
}

/// What the nodes have counted at a moment, all together.
struct Counted {
    payload_bytes: f64,
    packets: f64,
}

impl Counted {
    fn now(cluster: &mut Cluster) -> Result<Self> {
        cluster.tell_all("counters")?;
        let events = cluster.expect(Kind::Counters)?;
        let sum = |name: &str| {
            let values = events.iter().filter_map(|event| event.counters.get(name));
            values.sum::<f64>()
        };
        Ok(Self {
            payload_bytes: sum("memberlist_tcp_transport_packets_sent_bytes_total")
                + sum("memberlist_client_state_pulls_bytes_total"),
            packets: sum("memberlist_tcp_transport_packets_sent_total"),
        })
    }

    fn since(self, earlier: &Self) -> Self {
        Self {
            payload_bytes: self.payload_bytes - earlier.payload_bytes,
            packets: self.packets - earlier.packets,
        }
    }
}

fn mean_memory(cluster: &Cluster) -> Result<Memory> {
    let all: Result<Vec<Memory>> = cluster.pids().map(procfs::memory).collect();
    let all = all?;
    let mean = |field: fn(&Memory) -> f64| {
        let sum: f64 = all.iter().map(field).sum();
        sum / all.len() as f64
    };
    Ok(Memory {
        rss: mean(|memory| memory.rss),
        pss: mean(|memory| memory.pss),
    })
}

/// Returns the seconds between two times in Unix nanoseconds.
fn seconds(from: i64, to: i64) -> f64 {
    (to - from) as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn run(nodes: usize) -> Run {
        Run {
            launch: Launch {
                program: PathBuf::new(),
                flags: Vec::new(),
                nodes,
                network: 0,
                log: PathBuf::new(),
            },
            values: 0,
            settle: Duration::ZERO,
            idle: None,
        }
    }

    #[test]
    fn the_window_covers_a_period_of_push_pulls() {
        let windows = [4, 16, 32, 64, 128].map(|nodes| run(nodes).window().as_secs());
        assert_eq!(windows, [60, 60, 60, 60, 90]);
    }

    #[test]
    fn most_nodes_survive_and_the_first_always_does() {
        assert_eq!(run(4).victims(), [2]);
        assert_eq!(run(16).victims(), [4, 8, 12]);
        assert_eq!(run(128).victims().len(), 6);
        assert!((4..200).all(|nodes| run(nodes).victims()[0] > 0));
    }
}
