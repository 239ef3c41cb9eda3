//! The processes of one cluster.

use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, Write, pipe};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::node::{Event, Kind, unix_nanos};

const PORT: u16 = 7946;
/// Nodes that all others know from the start.
const SEEDS: usize = 3;
/// Nodes that start at one moment. 128 nodes of dskit that start at once on two
/// cores refuse each other's push/pulls for longer than [`PATIENCE`].
const WAVE: usize = 4;
const BETWEEN_WAVES: Duration = Duration::from_secs(4);
/// Longest wait for anything but the detector; far longer than it takes on a
/// machine that has nothing else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// How to run the nodes of a cluster.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The node's program.
    pub program: PathBuf,
    /// Further flags for all nodes.
    pub flags: Vec<String>,
    /// How many nodes.
    pub nodes: usize,
    /// Second byte of the nodes' addresses, so that clusters without a network
    /// of their own do not meet.
    pub network: u8,
    /// Where what nodes complain about goes.
    pub log: PathBuf,
}

/// Running nodes; killed when dropped.
pub(crate) struct Cluster {
    nodes: Vec<Node>,
    events: Receiver<Event>,
}

struct Node {
    child: Child,
    commands: ChildStdin,
}

impl Cluster {
    /// Starts the processes, then gossip of the first node, then of the others
    /// in waves. Returns the moment of the last wave in Unix nanoseconds.
    pub(crate) fn start(launch: &Launch) -> Result<(Self, i64)> {
        let (reader, writer) = pipe()?;
        let log = File::create(&launch.log)
            .with_context(|| format!("cannot write {}", launch.log.display()))?;
        let mut nodes = Vec::with_capacity(launch.nodes);
        for index in 0..launch.nodes {
            let mut command = launch.command(index);
            command.stdin(Stdio::piped());
            command.stdout(writer.try_clone()?).stderr(log.try_clone()?);
            let mut child = command
                .spawn()
                .with_context(|| format!("cannot run {}", launch.program.display()))?;
            let commands = child.stdin.take().context("a node without input")?;
            nodes.push(Node { child, commands });
        }
        let (sender, events) = channel();
        thread::spawn(move || read(reader, &sender));
        let mut cluster = Self { nodes, events };
        cluster.collect("ready", cluster.len(), PATIENCE, |event| {
            event.event == Kind::Ready
        })?;
        cluster.tell(0, "start")?;
        cluster.collect("started", 1, PATIENCE, |event| event.event == Kind::Started)?;
        let mut released = unix_nanos();
        let others: Vec<usize> = (1..cluster.len()).collect();
        for (number, wave) in others.chunks(WAVE).enumerate() {
            if number > 0 {
                thread::sleep(BETWEEN_WAVES);
            }
            released = unix_nanos();
            for &index in wave {
                cluster.tell(index, "start")?;
            }
        }
        Ok((cluster, released))
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn pids(&self) -> impl Iterator<Item = u32> {
        self.nodes.iter().map(|node| node.child.id())
    }

    pub(crate) fn tell(&mut self, index: usize, command: &str) -> Result<()> {
        writeln!(self.nodes[index].commands, "{command}")
            .with_context(|| format!("node {index} is gone"))
    }

    /// Lets all nodes look at something else and waits until they do.
    pub(crate) fn observe(&mut self, what: &str) -> Result<()> {
        self.tell_all(&format!("observe {what}"))?;
        self.expect(Kind::Observing).map(drop)
    }

    pub(crate) fn tell_all(&mut self, command: &str) -> Result<()> {
        (0..self.len()).try_for_each(|index| self.tell(index, command))
    }

    /// Waits until every node has said this once.
    pub(crate) fn expect(&self, kind: Kind) -> Result<Vec<Event>> {
        let count = self.len();
        self.collect(&format!("{kind:?}"), count, PATIENCE, |event| {
            event.event == kind
        })
    }

    /// Waits for `count` events that are `wanted` and drops others.
    pub(crate) fn collect(
        &self,
        what: &str,
        count: usize,
        patience: Duration,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<Vec<Event>> {
        let found = self.gather(what, count, patience, wanted)?;
        if found.len() < count {
            bail!("{} of {count} nodes came as far as {what:?}", found.len())
        }
        Ok(found)
    }

    /// As [`Self::collect`], but contents itself with what came in time.
    pub(crate) fn gather(
        &self,
        what: &str,
        count: usize,
        patience: Duration,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<Vec<Event>> {
        let deadline = Instant::now() + patience;
        let mut found = Vec::with_capacity(count);
        while found.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(event) if wanted(&event) => found.push(event),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => bail!("all nodes ended before {what:?}"),
            }
        }
        Ok(found)
    }

    /// Ends a node as a crash does and returns when, in Unix nanoseconds.
    pub(crate) fn kill(&mut self, index: usize) -> Result<i64> {
        let at = unix_nanos();
        self.nodes[index].child.kill()?;
        Ok(at)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            // A node that has ended already is what is wanted.
            drop(node.child.kill());
        }
        for node in &mut self.nodes {
            drop(node.child.wait());
        }
    }
}

impl Launch {
    fn command(&self, index: usize) -> Command {
        let seeds: Vec<String> = (0..SEEDS.min(self.nodes))
            .filter(|seed| *seed != index)
            .map(|seed| format!("{}:{PORT}", self.address(seed)))
            .collect();
        let mut command = Command::new(&self.program);
        command.args(["--index", &index.to_string()]);
        command.args(["--nodes", &self.nodes.to_string()]);
        command.args(["--addr", &self.address(index).to_string()]);
        command.args(["--port", &PORT.to_string()]);
        // The first node is alone at first and must not wait for the others.
        if index > 0 {
            command.args(["--join", &seeds.join(",")]);
        }
        command.args(&self.flags);
        command
    }

    fn address(&self, index: usize) -> Ipv4Addr {
        let [.., high, low] = u16::try_from(index + 1).unwrap_or(u16::MAX).to_be_bytes();
        Ipv4Addr::new(127, self.network, high, low)
    }
}

fn read(reader: PipeReader, events: &Sender<Event>) {
    for line in BufReader::new(reader).lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(event) => {
                if events.send(event).is_err() {
                    return;
                }
            }
            Err(error) => eprintln!("not an event ({error}): {line}"),
        }
    }
}
