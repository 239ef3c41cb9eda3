//! What the kernel knows of processes and of the network.

use std::fs;
use std::io;
use std::ops::Sub;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Units of `utime` and `stime` per second, on every Linux since 2.6.
const TICKS: f64 = 100.0;

/// Processor time of a process so far, in seconds: its own and that of the
/// system calls it made. Work of the kernel on behalf of nobody (soft
/// interrupts) is charged to whom it interrupts.
///
/// # Errors
///
/// Fails when the process is gone.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    // The second field, the name, may contain anything.
    let (_, fields) = stat.rsplit_once(')').context("stat without a name")?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut next = || number(fields.next());
    Ok((next()? + next()?) / TICKS)
}

/// Resident memory of a process, in bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Memory {
    /// All resident pages, those of the executable included.
    pub rss: f64,
    /// The same with pages that several processes share divided among them.
    pub pss: f64,
}

/// Reads the resident memory of a process.
///
/// # Errors
///
/// Fails when the process is gone.
pub fn memory(pid: u32) -> Result<Memory> {
    let rollup = read(&format!("/proc/{pid}/smaps_rollup"))?;
    let kibibytes = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name));
        number(line.and_then(|line| line.split_ascii_whitespace().next()))
            .with_context(|| format!("{name} of smaps_rollup"))
    };
    Ok(Memory {
        rss: kibibytes("Rss:")? * 1024.0,
        pss: kibibytes("Pss:")? * 1024.0,
    })
}

/// Processor time of the whole machine that was not idle, in seconds.
///
/// # Errors
///
/// Fails when there is no `/proc`.
pub fn machine_cpu_seconds() -> Result<f64> {
    let stat = read("/proc/stat")?;
    let line = stat.lines().next().context("empty /proc/stat")?;
    let fields: Result<Vec<f64>> = line
        .split_ascii_whitespace()
        .skip(1)
        .map(|field| number(Some(field)))
        .collect();
    let fields = fields?;
    // user, nice, system, (idle, iowait), irq, softirq; guests count as user.
    let busy = [0, 1, 2, 5, 6];
    Ok(busy.iter().filter_map(|i| fields.get(*i)).sum::<f64>() / TICKS)
}

/// What crossed the network of this process's namespace.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Traffic {
    /// Bytes sent through the loopback device, headers of IP and TCP included.
    pub bytes: f64,
    /// IP packets.
    pub packets: f64,
    /// TCP connections opened.
    pub connections: f64,
}

impl Traffic {
    /// Reads the counters of this process's network namespace.
    ///
    /// # Errors
    ///
    /// Fails when there is no loopback device.
    pub fn now() -> Result<Self> {
        let devices = read("/proc/self/net/dev")?;
        let loopback = devices
            .lines()
            .find_map(|line| line.trim_start().strip_prefix("lo:"))
            .context("no loopback device in /proc/self/net/dev")?;
        // Eight fields about receiving, then those about sending.
        let mut sent = loopback.split_ascii_whitespace().skip(8);
        let bytes = number(sent.next())?;
        let packets = number(sent.next())?;
        Ok(Self {
            bytes,
            packets,
            connections: tcp_counter("ActiveOpens")?,
        })
    }
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            bytes: self.bytes - earlier.bytes,
            packets: self.packets - earlier.packets,
            connections: self.connections - earlier.connections,
        }
    }
}

/// Reads one value of the pair of `Tcp:` lines, names above values.
fn tcp_counter(name: &str) -> Result<f64> {
    let snmp = read("/proc/self/net/snmp")?;
    let mut lines = snmp.lines().filter(|line| line.starts_with("Tcp:"));
    let names = lines.next().unwrap_or_default().split_ascii_whitespace();
    let values = lines.next().unwrap_or_default().split_ascii_whitespace();
    let value = names.zip(values).find(|(field, _)| *field == name);
    number(value.map(|(_, value)| value)).with_context(|| format!("{name} of /proc/self/net/snmp"))
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

fn number(field: Option<&str>) -> Result<f64> {
    let field = field.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    field
        .parse()
        .with_context(|| format!("not a number: {field:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_memory_and_the_machine_time() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.rss >= memory.pss && memory.pss > 0.0, "{memory:?}");
        let own = cpu_seconds(std::process::id()).unwrap();
        assert!(own <= machine_cpu_seconds().unwrap());
    }

    #[test]
    fn connections_over_loopback_are_counted() {
        let before = Traffic::now().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        drop(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let used = Traffic::now().unwrap() - before;
        assert!(used.connections >= 1.0, "{used:?}");
        assert!(used.packets >= 3.0 && used.bytes >= 120.0, "{used:?}");
    }
}
