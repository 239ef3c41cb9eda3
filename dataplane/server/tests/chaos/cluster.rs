//! Clusters of real processes, run as the operator runs them.

use std::{net::Ipv4Addr, path::Path};

use crate::{
    harness::{Node, fresh_address},
    ledger::endpoints::Endpoints,
    link::Link,
};

/// Which processes a cluster consists of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Processes that keep profiles.
    pub(crate) ingesters: usize,
    /// Processes that only take pushes; without any, each process is everything.
    pub(crate) distributors: usize,
    /// Processes that only answer queries.
    pub(crate) queriers: usize,
    /// Copies of each profile.
    pub(crate) replication: usize,
    /// Whether the way to each ingester can be made bad.
    pub(crate) links: bool,
    /// Further flags of all processes.
    pub(crate) flags: &'static [&'static str],
}

impl Shape {
    /// Processes of which each does everything.
    pub(crate) fn monolithic(nodes: usize, replication: usize) -> Self {
        Self {
            ingesters: nodes,
            distributors: 0,
            queriers: 0,
            replication,
            links: false,
            flags: &[],
        }
    }
}

/// A running cluster; its processes are killed and its data is removed when it
/// is dropped.
pub(crate) struct Cluster {
    pub(crate) ingesters: Vec<Node>,
    pub(crate) distributors: Vec<Node>,
    pub(crate) queriers: Vec<Node>,
    /// The way to each ingester, if it can be made bad.
    pub(crate) links: Vec<Link>,
    shape: Shape,
    /// Flags that all processes have.
    common: Vec<String>,
    dir: tempfile::TempDir,
}

impl Cluster {
    /// Starts the processes at once and waits until all know all ingesters.
    pub(crate) async fn start(shape: Shape) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let addresses: Vec<Ipv4Addr> = (0..shape.ingesters).map(|_| fresh_address()).collect();
        let mut common: Vec<String> = addresses
            .iter()
            .map(|seed| format!("-memberlist.join={seed}:7946"))
            .collect();
        common.push(format!(
            "-distributor.replication-factor={}",
            shape.replication
        ));
        common.extend(
            [
                "-ingester.unregister-on-shutdown=false",
                "-ingester.readiness-check-ring-health=false",
                "-ingester.min-ready-duration=1s",
                "-memberlist.rejoin-interval=60s",
                "-memberlist.min-join-backoff=100ms",
            ]
            .map(str::to_owned),
        );
        common.extend(shape.flags.iter().map(|&flag| flag.to_owned()));
        let mut cluster = Self {
            ingesters: Vec::new(),
            distributors: Vec::new(),
            queriers: Vec::new(),
            links: Vec::new(),
            shape,
            common,
            dir,
        };
        let target = match (shape.distributors, shape.queriers) {
            (0, 0) => "all",
            _ => "ingester",
        };
        if shape.links {
            for address in &addresses {
                cluster.links.push(Link::to(*address).await);
            }
        }
        let launches: Vec<Launch> = addresses
            .into_iter()
            .enumerate()
            .map(|(number, address)| {
                let mut launch = cluster.launch(target, number, address);
                let link = cluster.links.get(number);
                let flag = link.map(|link| format!("-ingester.lifecycler.addr={}", link.address));
                launch.args.extend(flag);
                launch
            })
            .collect();
        cluster.ingesters = start(launches);
        for _ in 0..shape.distributors {
            cluster.add_distributor();
        }
        for _ in 0..shape.queriers {
            cluster.add_querier();
        }
        cluster.settled().await;
        cluster
    }

    fn launch(&self, target: &str, number: usize, address: Ipv4Addr) -> Launch {
        let mut args = self.common.clone();
        args.push(format!("-target={target}"));
        args.push(format!("-ingester.lifecycler.ID={target}-{number}"));
        args.push(format!("-distributor.ring.instance-id={target}-{number}"));
        Launch {
            address,
            dir: self.dir.path().join(format!("{target}-{number}")),
            args,
        }
    }

    /// Starts one distributor more.
    pub(crate) fn add_distributor(&mut self) -> &Node {
        let launch = self.launch("distributor", self.distributors.len(), fresh_address());
        self.distributors.extend(start(vec![launch]));
        self.distributors.last().expect("it was added")
    }

    /// Starts one querier more.
    pub(crate) fn add_querier(&mut self) -> &Node {
        let launch = self.launch("querier", self.queriers.len(), fresh_address());
        self.queriers.extend(start(vec![launch]));
        self.queriers.last().expect("it was added")
    }

    /// Returns where to push.
    pub(crate) fn pushers(&self) -> Endpoints {
        let nodes = match self.shape.distributors {
            0 => &self.ingesters,
            _ => &self.distributors,
        };
        Endpoints::new(nodes.iter().map(|node| node.http.as_str()))
    }

    /// Returns where to query.
    pub(crate) fn readers(&self) -> Endpoints {
        let nodes = match self.shape.queriers {
            0 => &self.ingesters,
            _ => &self.queriers,
        };
        Endpoints::new(nodes.iter().map(|node| node.http.as_str()))
    }

    /// Waits until every process is ready and sees every ingester ACTIVE.
    pub(crate) async fn settled(&self) {
        for node in self.nodes() {
            node.ready().await;
            node.sees_active(self.shape.ingesters).await;
        }
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.ingesters
            .iter()
            .chain(&self.distributors)
            .chain(&self.queriers)
    }

    /// Kills the ingesters with these numbers.
    pub(crate) fn crash(&mut self, numbers: &[usize]) {
        for &number in numbers {
            self.ingesters[number].crash();
        }
    }

    /// Starts ingesters again that have ended, all at once.
    pub(crate) fn restart(&mut self, numbers: &[usize]) {
        std::thread::scope(|scope| {
            for (number, node) in self.ingesters.iter_mut().enumerate() {
                if numbers.contains(&number) {
                    scope.spawn(|| node.restart());
                }
            }
        });
    }

    /// Returns the end of each process's log.
    pub(crate) fn logs(&self) -> String {
        let tail = |node: &Node| {
            let log = node.log();
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(60);
            format!("== {}\n{}\n", node.http, lines[from..].join("\n"))
        };
        self.nodes().map(tail).collect()
    }
}

/// How to start a process.
struct Launch {
    address: Ipv4Addr,
    dir: std::path::PathBuf,
    args: Vec<String>,
}

/// Starts processes at once.
fn start(launches: Vec<Launch>) -> Vec<Node> {
    let start = |launch: Launch| {
        let args: Vec<&str> = launch.args.iter().map(String::as_str).collect();
        Node::start(launch.address, Path::new(&launch.dir), &args)
    };
    std::thread::scope(|scope| {
        let nodes: Vec<_> = launches
            .into_iter()
            .map(|launch| scope.spawn(|| start(launch)))
            .collect();
        nodes
            .into_iter()
            .map(|node| node.join().expect("the process starts"))
            .collect()
    })
}
