//! The load generator of `make bench BENCH=push`: see `bench::push`.

mod client;
mod pushing;
mod querying;

use std::io::{self, Write, stdout};
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

use client::Client;

/// Longest wait for servers to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Pushes profiles of the corpus.
    Push(pushing::Pushing),
    /// Merges all CPU profiles, again and again.
    Query(querying::Querying),
}

/// Whom to ask.
#[derive(Clone, Debug, Args)]
struct Servers {
    /// Servers as `host:port`; clients take them in turns.
    #[arg(long, value_delimiter = ',')]
    targets: Vec<String>,
    /// Wait until every server sees as many active ingesters.
    #[arg(long, default_value_t = 0)]
    ingesters: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Push(pushing) => {
            let prepared = pushing.prepare()?;
            let stop = begin(&pushing.servers).await?;
            print(&pushing.run(prepared, stop).await?)
        }
        Command::Query(querying) => {
            let stop = begin(&querying.servers).await?;
            print(&querying.run(stop).await?)
        }
    }
}

/// Waits for the servers and for the word to begin; the next word is to stop.
async fn begin(servers: &Servers) -> Result<CancellationToken> {
    tokio::time::timeout(PATIENCE, servers.ready()).await??;
    let commands = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)
        .context("standard input must be a pipe")?;
    let mut commands = BufReader::new(commands).lines();
    print(&"ready")?;
    if commands.next_line().await?.is_none() {
        bail!("nobody is there");
    }
    let stop = CancellationToken::new();
    tokio::spawn(wait_for_stop(commands, stop.clone()));
    Ok(stop)
}

async fn wait_for_stop(mut commands: Lines<BufReader<pipe::Receiver>>, stop: CancellationToken) {
    // The end of the input is a reason to stop as well.
    drop(commands.next_line().await);
    stop.cancel();
}

impl Servers {
    /// Returns once every server says that it is ready and sees all ingesters.
    async fn ready(&self) -> Result<()> {
        for target in &self.targets {
            while !self.is_ready(target).await.unwrap_or(false) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    async fn is_ready(&self, target: &str) -> Result<bool> {
        let mut client = Client::new(target);
        let (status, _) = client.get("/ready").await?;
        if !status.is_success() || self.ingesters == 0 {
            return Ok(status.is_success());
        }
        let (_, ring) = client.get("/ring").await?;
        let ring: serde_json::Value = serde_json::from_slice(&ring)?;
        let shards = ring["shards"].as_array();
        let active = shards.map_or(0, |shards| {
            shards.iter().filter(|one| one["state"] == "ACTIVE").count()
        });
        Ok(active >= self.ingesters)
    }
}

/// Prints one line of JSON, or a word.
fn print(line: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(line)?;
    writeln!(stdout(), "{}", line.trim_matches('"'))?;
    Ok(stdout().flush()?)
}
