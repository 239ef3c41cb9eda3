//! Pushes, faults of the disk, kills and crashes in the order that a seed
//! decides, against a list of what was acknowledged.
//!
//! `SOAK_SEEDS=n` runs n stories; a failure names its seed, and `SEED=s` runs
//! that one alone.

#![allow(clippy::unwrap_used)]

mod disk;
#[path = "../fixture/mod.rs"]
mod fixture;
mod inode;

use std::collections::{BTreeMap, BTreeSet};

use disk::FaultyDisk;
use fixture::{CPU, TENANT, id, keys, push, request, small};
use prometheus_client::registry::Registry;
use pyroscope_store::{Database, Options, ReplayReport};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

/// What is known of profiles by their number.
#[derive(Debug, Default)]
struct Ledger {
    acknowledged: BTreeSet<u64>,
    attempted: BTreeSet<u64>,
}

struct Story {
    random: StdRng,
    disk: FaultyDisk,
    ledger: Ledger,
    options: Options,
}

#[test]
fn nothing_acknowledged_is_lost_doubled_or_altered() {
    let number = |name| std::env::var(name).ok().map(|value| value.parse().unwrap());
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SOAK_SEEDS").unwrap_or(40)).collect(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let mut totals = [0; 5];
    for seed in &seeds {
        let story = std::panic::AssertUnwindSafe(|| runtime.block_on(Story::new(*seed).run()));
        let Ok(counts) = std::panic::catch_unwind(story) else {
            panic!("the story of seed {seed} ended badly: SEED={seed} repeats it")
        };
        for (total, count) in totals.iter_mut().zip([
            counts.kills,
            counts.crashes,
            counts.write_errors,
            counts.sync_errors,
            counts.full,
        ]) {
            *total += u64::from(count);
        }
    }
    println!("kills, crashes, failed writes, failed syncs, full: {totals:?}");
    if seeds.len() > 30 {
        assert!(totals.iter().all(|total| *total > 10), "{totals:?}");
    }
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        Self {
            disk: FaultyDisk::new(random.random()),
            ledger: Ledger::default(),
            options: Options {
                segment_bytes: [1, 1000, 5000, 1 << 20][random.random_range(0..4)],
                ..Options::default()
            },
            random,
        }
    }

    async fn run(mut self) -> disk::Counts {
        for _ in 0..self.random.random_range(2..7) {
            self.live().await;
        }
        self.disk = self.disk.crash();
        self.disk.set_faults(0.0);
        self.disk.set_room(usize::MAX);
        let (database, _) = self.open().unwrap();
        self.ledger.check(&database);
        self.disk.counts()
    }

    /// One life of a process, and how it ends.
    async fn live(&mut self) {
        let faults = [0.0, 0.01, 0.1][self.random.random_range(0..3)];
        self.disk.set_faults(faults);
        if self.random.random_bool(0.3) {
            let room = self.random.random_range(0..3000);
            self.disk.set_room(room);
        }
        if self.random.random_bool(0.5) {
            let operations = self.random.random_range(0..60);
            self.disk.light_fuse(operations);
        }
        if let Some((database, report)) = self.open() {
            assert_eq!(report.corruptions, [], "{report:?}");
            self.ledger.check(&database);
            self.work(&database).await;
            self.end(&database).await;
        }
        self.disk = match self.random.random_bool(0.5) {
            true => self.disk.clone().crash(),
            false => self.disk.clone().kill(),
        };
        self.disk.set_room(usize::MAX);
    }

    fn open(&self) -> Option<(Database, ReplayReport)> {
        let mut registry = Registry::default();
        let (disk, options) = (self.disk.clone(), self.options.clone());
        match Database::open_on(disk, "/data", options, &mut registry) {
            Ok(opened) => Some(opened),
            Err(pyroscope_store::StoreError::Log(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }

    async fn work(&mut self, database: &Database) {
        for _ in 0..self.random.random_range(0..30) {
            if self.disk.is_dead() {
                return;
            }
            match self.random.random_range(0..20) {
                0 => {
                    let room = self.random.random_range(0..3000);
                    self.disk.set_room(room);
                }
                1..4 => self.disk.set_room(usize::MAX),
                _ => self.push(database).await,
            }
        }
    }

    /// Some pushes at once, of new profiles and of such as were pushed before.
    async fn push(&mut self, database: &Database) {
        let pushes = self.random.random_range(1..4);
        let mut tasks = Vec::new();
        for _ in 0..pushes {
            let numbers: BTreeSet<u64> = (0..self.random.random_range(1..4))
                .map(|_| self.number())
                .collect();
            self.ledger.attempted.extend(&numbers);
            let database = database.clone();
            tasks.push(tokio::spawn(async move {
                let profiles = numbers.iter().copied().map(small).collect();
                let refused = match push(&database, profiles).await {
                    Ok(()) => BTreeSet::new(),
                    Err(error) => {
                        assert!(error.is_retryable(), "{error}");
                        error.rejected.iter().map(|one| one.index).collect()
                    }
                };
                let numbers = numbers.into_iter().enumerate();
                let stored = numbers.filter(|(index, _)| !refused.contains(index));
                stored.map(|(_, n)| n).collect::<Vec<_>>()
            }));
        }
        for task in tasks {
            self.ledger.acknowledged.extend(task.await.unwrap());
        }
    }

    fn number(&mut self) -> u64 {
        let next = self.ledger.attempted.last().map_or(0, |last| last + 1);
        match self.random.random_bool(0.3) {
            true => self.random.random_range(0..=next),
            false => next + self.random.random_range(0..3),
        }
    }

    /// What lives on works again as soon as the disk does.
    async fn end(&mut self, database: &Database) {
        self.ledger.check(database);
        if self.random.random_bool(0.5) {
            self.disk.set_faults(0.0);
            self.disk.set_room(usize::MAX);
            self.disk.light_fuse(u32::MAX);
            if self.disk.is_dead() {
                return;
            }
            let n = self.number();
            self.ledger.attempted.insert(n);
            push(database, vec![small(n)]).await.unwrap();
            self.ledger.acknowledged.insert(n);
            self.ledger.check(database);
        }
        if self.random.random_bool(0.3) {
            database.shutdown().await;
        }
    }
}

impl Ledger {
    /// Compares with what is read: all that was acknowledged, once and as it
    /// was pushed, and nothing that never was.
    fn check(&self, database: &Database) {
        let found = database.select(TENANT, &request(CPU, "{}")).unwrap();
        let values = found.timestamps.iter().zip(&found.totals);
        let mut profiles = BTreeMap::new();
        for (key, (time, total)) in keys(&found).into_iter().zip(values) {
            let doubled = profiles.insert(key, (*time, *total));
            assert_eq!(doubled, None, "{key:?} is there twice");
        }
        for &n in &self.acknowledged {
            let expected = (1000 + n as i64, (n as i64 + 1) * 10);
            assert_eq!(profiles.remove(&id(n)), Some(expected), "acknowledged {n}");
        }
        for &n in &self.attempted {
            let expected = (1000 + n as i64, (n as i64 + 1) * 10);
            if let Some(found) = profiles.remove(&id(n)) {
                assert_eq!(found, expected, "unacknowledged {n}");
            }
        }
        assert!(profiles.is_empty(), "never pushed: {profiles:?}");
    }
}
