//! One node of the Rust side: gossip and the lifecycle of a ring instance, as
//! an ingester runs them. See `bench::node` for what it understands and says.

mod instance;
mod observer;

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bench::node::{Event, Kind, name};
use clap::Parser;
use gossip::{Config, Gossip};
use prometheus_client::registry::Registry;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, unix::pipe};

use instance::RING;
use observer::Observer;

/// The executable's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
struct Args {
    /// Number of this node.
    #[arg(long)]
    index: usize,
    /// Number of nodes to wait for.
    #[arg(long)]
    nodes: usize,
    /// Address to gossip on.
    #[arg(long)]
    addr: Ipv4Addr,
    /// Port to gossip on.
    #[arg(long)]
    port: u16,
    /// Seeds as host:port.
    #[arg(long, value_delimiter = ',')]
    join: Vec<String>,
    /// Period of probes in milliseconds, for tests that cannot wait; dskit has
    /// no such setting.
    #[arg(long)]
    probe_interval: Option<u64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let commands = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)
        .context("standard input must be a pipe")?;
    let mut commands = BufReader::new(commands).lines();
    print(&Event::now(args.index, Kind::Ready));
    if commands.next_line().await?.as_deref() != Some("start") {
        return Ok(());
    }
    let mut registry = Registry::default();
    let gossip = start(&args, &mut registry).await?;
    let id = name(args.index);
    tokio::spawn(instance::keep(gossip.kv(), id, args.addr));
    print(&Event::now(args.index, Kind::Started));

    let mut observer = Observer::new(args.index, args.nodes, &gossip);
    observer.observe("all")?;
    while let Some(command) = commands.next_line().await? {
        let (command, argument) = command.split_once(' ').unwrap_or((&command, ""));
        match command {
            "observe" => {
                observer.observe(argument)?;
                print(&Event::now(args.index, Kind::Observing));
            }
            "add" => {
                print(&Event {
                    id: Some(argument.to_owned()),
                    ..Event::now(args.index, Kind::Adding)
                });
                instance::add(&gossip.kv(), argument)?;
            }
            "remove" => instance::remove(&gossip.kv(), argument)?,
            "counters" => print(&Event {
                counters: counters(&registry)?,
                ..Event::now(args.index, Kind::Counters)
            }),
            _ => bail!("unknown command {command:?}"),
        }
    }
    Ok(())
}

async fn start(args: &Args, registry: &mut Registry) -> Result<Gossip> {
    let mut config = Config {
        node_name: name(args.index),
        randomize_node_name: false,
        join: args.join.clone(),
        ..Config::default()
    };
    if let Some(interval) = args.probe_interval.map(Duration::from_millis) {
        config.probe_interval = interval;
        config.probe_timeout = interval / 2;
    }
    let address = (args.addr, args.port);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot gossip on {address:?}"))?;
    Ok(Gossip::start(config, listener, registry, rand::random()).await?)
}

/// Returns what transport and store have counted, by the names of the metrics.
fn counters(registry: &Registry) -> Result<std::collections::BTreeMap<String, f64>> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    let mut counters = std::collections::BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let name = series.split('{').next().unwrap_or(series);
        if name.starts_with("memberlist_") && name.ends_with("_total") {
            *counters.entry(name.to_owned()).or_default() += value.parse::<f64>()?;
        }
    }
    Ok(counters)
}

/// Prints a line at once: all nodes share one pipe.
fn print(event: &Event) {
    let Ok(mut line) = serde_json::to_vec(event) else {
        return;
    };
    line.push(b'\n');
    // Without a reader standard input ends as well.
    drop(io::stdout().lock().write_all(&line));
}
