//! Keeps Pyroscope clusters on Kubernetes as their resources say.

mod apply;
mod awaited;
mod conditions;
mod controller;
mod freshness;
mod leader;
mod metrics;
mod object;
mod observe;
mod options;
#[cfg(test)]
mod permissions;
mod plan;
mod poll;
mod render;
mod ring;
mod run;
mod serve;
mod status;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::options::{LogFormat, Options};

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    log(&options)?;
    // Several TLS providers may be compiled in; without a choice the first client panics.
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run::run(options))
}

fn log(options: &Options) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&options.log_level)?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match options.log_format {
        LogFormat::Text => subscriber.with_ansi(false).init(),
        LogFormat::Json => subscriber.json().init(),
    }
    Ok(())
}
