//! Writes under load, and the account of what was acknowledged.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use crate::{
    pyroscope::{Client, unix_nanos},
    wait,
};

/// What one writer has done.
#[derive(Debug, Default)]
struct Account {
    acknowledged: AtomicU64,
    failed: AtomicU64,
}

/// Writers that push profiles of value 1 until they are stopped.
#[derive(Debug)]
pub struct Load {
    name: String,
    accounts: Vec<Arc<Account>>,
    failures: Arc<parking::Failures>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

/// What was acknowledged, to be compared with what is read.
#[derive(Debug)]
pub struct Ledger {
    /// Service name, writes acknowledged, writes of unknown outcome.
    entries: Vec<(String, u64, u64)>,
    /// The first few errors that writers got.
    pub failures: Vec<String>,
}

mod parking {
    use std::sync::Mutex;

    /// The first few errors.
    #[derive(Debug, Default)]
    pub(super) struct Failures(Mutex<Vec<String>>);

    impl Failures {
        pub(super) fn add(&self, error: String) {
            if let Ok(mut list) = self.0.lock()
                && list.len() < 5
            {
                list.push(error);
            }
        }

        pub(super) fn take(&self) -> Vec<String> {
            self.0
                .lock()
                .map(|mut list| std::mem::take(&mut *list))
                .unwrap_or_default()
        }
    }
}

impl Load {
    /// Starts `writers` writers, each with a service of its own and a pause of
    /// `pause` between pushes.
    #[must_use]
    pub fn start(name: &str, client: &Client, writers: usize, pause: Duration) -> Self {
        let mut load = Self {
            name: name.to_owned(),
            accounts: Vec::new(),
            failures: Arc::default(),
            stop: Arc::default(),
            tasks: JoinSet::new(),
        };
        for writer in 0..writers {
            let account = Arc::new(Account::default());
            load.accounts.push(Arc::clone(&account));
            let (client, service) = (client.clone(), format!("{name}-{writer}"));
            let (stop, failures) = (Arc::clone(&load.stop), Arc::clone(&load.failures));
            load.tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    match client.push(&service, 1, unix_nanos()).await {
                        Ok(()) => account.acknowledged.fetch_add(1, Ordering::Relaxed),
                        Err(error) => {
                            failures.add(format!("{error:#}"));
                            account.failed.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                    tokio::time::sleep(pause).await;
                }
            });
        }
        load
    }

    /// Returns the number of writes acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.accounts
            .iter()
            .map(|account| account.acknowledged.load(Ordering::Relaxed))
            .sum()
    }

    /// Waits until `more` further writes are acknowledged.
    ///
    /// # Errors
    ///
    /// Fails when that takes longer than a minute.
    pub async fn progresses(&self, more: u64) -> Result<()> {
        let goal = self.acknowledged() + more;
        wait::until(
            "writes are acknowledged",
            Duration::from_secs(60),
            async || {
                let now = self.acknowledged();
                if now >= goal {
                    Ok(())
                } else {
                    Err(format!("{now} of {goal}"))
                }
            },
        )
        .await
    }

    /// Stops the writers and returns the account.
    pub async fn stop(mut self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
        let entry = |(writer, account): (usize, &Arc<Account>)| {
            let acknowledged = account.acknowledged.load(Ordering::Relaxed);
            let failed = account.failed.load(Ordering::Relaxed);
            (format!("{}-{writer}", self.name), acknowledged, failed)
        };
        Ledger {
            entries: self.accounts.iter().enumerate().map(entry).collect(),
            failures: self.failures.take(),
        }
    }
}

impl Ledger {
    /// Returns the number of writes acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.entries
            .iter()
            .map(|&(_, acknowledged, _)| acknowledged)
            .sum()
    }

    /// Returns the number of writes of unknown outcome.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.entries.iter().map(|&(.., failed)| failed).sum()
    }

    /// Reads everything back: each acknowledged write must be there, and none
    /// may count twice.
    ///
    /// # Errors
    ///
    /// Fails naming the services that do not add up.
    pub async fn check(&self, client: &Client) -> Result<()> {
        for (service, acknowledged, unknown) in &self.entries {
            let read = u64::try_from(client.total(service).await?)?;
            ensure!(
                read >= *acknowledged,
                "{service}: {acknowledged} acknowledged, only {read} read"
            );
            let most = acknowledged + unknown;
            ensure!(
                read <= most,
                "{service}: {most} written at most, but {read} read"
            );
        }
        Ok(())
    }
}
