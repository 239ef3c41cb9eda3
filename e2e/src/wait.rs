//! Waiting for what must come true in the end.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Calls `check` until it gives something, for at most `patience`.
///
/// # Errors
///
/// Fails with the last thing that `check` said when the time is up.
pub async fn until<T, E: Display>(
    what: &str,
    patience: Duration,
    mut check: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        match check().await {
            Ok(value) => return Ok(value),
            Err(reason) if started.elapsed() > patience => {
                bail!("not within {patience:?}: {what}; last seen: {reason}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}
