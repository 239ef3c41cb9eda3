//! The processes that take pushes.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::procfs::{cpu_seconds, memory};

const HTTP_PORT: u16 = 4040;
const GOSSIP_PORT: u16 = 7946;

/// Running servers; killed, and their data removed, when dropped.
pub(super) struct Servers {
    children: Vec<Child>,
    /// `host:port` of each.
    pub(super) targets: Vec<String>,
    /// Data folder of each; the floor has none.
    data: Vec<PathBuf>,
}

impl Servers {
    /// Starts the floor.
    pub(super) fn floor(program: &Path, folder: &Path) -> Result<Self> {
        let mut servers = Self::none();
        let target = format!("{}:{HTTP_PORT}", address(0));
        let log = log(folder, "push-floor.log")?;
        servers.spawn(Command::new(program).args(["--listen", &target]), log)?;
        servers.targets.push(target);
        Ok(servers)
    }

    /// Starts a cluster whose nodes run all components, with default settings but
    /// for the limits of rates.
    pub(super) fn pyroscope(
        program: &Path,
        nodes: usize,
        replication_factor: usize,
        folder: &Path,
    ) -> Result<Self> {
        let mut servers = Self::none();
        for index in 0..nodes {
            let data = folder.join(format!("push-data-{index}"));
            remove(&data)?;
            servers.data.push(data.clone());
            servers
                .targets
                .push(format!("{}:{HTTP_PORT}", address(index)));
            let mut command = Command::new(program);
            command.args(flags(index, nodes, replication_factor));
            command.arg(format!("-pyroscopedb.data-path={}", data.display()));
            let tokens = data.join("tokens");
            command.arg(format!("-ingester.tokens-file-path={}", tokens.display()));
            let log = log(folder, &format!("push-{nodes}-{index}.log"))?;
            servers.spawn(&mut command, log)?;
        }
        Ok(servers)
    }

    fn none() -> Self {
        Self {
            children: Vec::new(),
            targets: Vec::new(),
            data: Vec::new(),
        }
    }

    fn spawn(&mut self, command: &mut Command, log: File) -> Result<()> {
        command.stdin(Stdio::null()).stdout(log.try_clone()?);
        let child = command.stderr(log).spawn();
        let program = command.get_program().display();
        let child = child.with_context(|| format!("cannot run {program}"))?;
        self.children.push(child);
        Ok(())
    }

    /// Processor time of all so far, in seconds.
    pub(super) fn cpu_seconds(&self) -> Result<f64> {
        self.children.iter().map(|one| cpu_seconds(one.id())).sum()
    }

    /// Resident bytes of each.
    pub(super) fn resident(&self) -> Result<Vec<f64>> {
        let resident = |child: &Child| Ok(memory(child.id())?.rss);
        self.children.iter().map(resident).collect()
    }

    /// Bytes in the write-ahead logs of all.
    pub(super) fn wal_bytes(&self) -> Result<u64> {
        let mut bytes = 0;
        for data in &self.data {
            for entry in fs::read_dir(data.join("wal"))? {
                bytes += entry?.metadata()?.len();
            }
        }
        Ok(bytes)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            // One that has ended already is what is wanted.
            drop(child.kill());
            drop(child.wait());
        }
        for data in &self.data {
            if let Err(error) = remove(data) {
                eprintln!("{error:#}");
            }
        }
    }
}

/// What a node is told. It is ready at once: there is nobody to wait for.
fn flags(index: usize, nodes: usize, replication_factor: usize) -> Vec<String> {
    let own = address(index);
    let mut flags = vec![
        "-target=all".to_owned(),
        format!("-server.http-listen-address={own}"),
        format!("-memberlist.bind-addr={own}"),
        format!("-memberlist.nodename=node-{index}"),
        format!("-ingester.lifecycler.addr={own}"),
        format!("-ingester.lifecycler.ID=node-{index}"),
        "-ingester.min-ready-duration=0s".to_owned(),
        format!("-distributor.replication-factor={replication_factor}"),
        "-distributor.ingestion-rate-limit-mb=100000".to_owned(),
        "-distributor.ingestion-burst-size-mb=100000".to_owned(),
    ];
    let others = (0..nodes).filter(|other| *other != index);
    flags.extend(others.map(|other| {
        let other = address(other);
        format!("-memberlist.join={other}:{GOSSIP_PORT}")
    }));
    flags
}

/// Returns an address that is this run's own.
fn address(index: usize) -> Ipv4Addr {
    let [.., high, low] = std::process::id().to_be_bytes();
    let index = u8::try_from(index + 1).unwrap_or(u8::MAX);
    Ipv4Addr::new(127, 80 + high % 100, low, index)
}

fn log(folder: &Path, name: &str) -> Result<File> {
    let path = folder.join(name);
    File::create(&path).with_context(|| format!("cannot write {}", path.display()))
}

fn remove(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}
