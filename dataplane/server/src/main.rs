//! The `pyroscope` executable: every component of the data plane, chosen by
//! `-target`.

use std::process::ExitCode;

use server::{cli, process, telemetry};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os().skip(1)) {
        cli::Action::Run(config, warnings) => {
            telemetry::init(&config);
            for warning in warnings {
                warn!("{warning}");
            }
            run(*config)
        }
        cli::Action::Exit {
            code,
            stdout,
            stderr,
        } => cli::exit(code, &stdout, &stderr),
    }
}

#[tokio::main]
async fn run(config: contract::Config) -> ExitCode {
    let shutdown = CancellationToken::new();
    if let Err(error) = stop_on_signals(shutdown.clone()) {
        error!(%error, "cannot listen for signals");
        return ExitCode::FAILURE;
    }
    match process::run(config, shutdown).await {
        Ok(()) => {
            info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            error!(error = format!("{error:#}"), "stopped by an error");
            ExitCode::FAILURE
        }
    }
}

fn stop_on_signals(shutdown: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal = name, "stopping");
        shutdown.cancel();
    });
    Ok(())
}
