//! Real processes that crash, freeze and restart under load: nothing that was
//! acknowledged is lost, and nothing is read wrongly meanwhile.
//!
//! Each test runs briefly by default and for long with `SOAK_ITERATIONS`. The
//! seed is printed; `CHAOS_SEED` gives it.

#[path = "../harness/mod.rs"]
mod harness;
#[path = "../ledger/mod.rs"]
mod ledger;

mod cluster;
mod crashes;
mod fault;
mod growth;
mod link;
mod one_down;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use rand::{SeedableRng as _, rngs::StdRng};

use cluster::Cluster;
use ledger::Ledger;

/// Returns the seed of a test, which it prints.
fn seed(test: &str) -> u64 {
    let given = std::env::var("CHAOS_SEED").ok();
    let seed = given.and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |now| now.as_nanos() as u64 % 1_000_000)
    });
    println!("{test}: CHAOS_SEED={seed}");
    seed
}

fn random(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// Returns how often to repeat: `brief`, or what the environment says.
fn iterations(brief: usize) -> usize {
    let asked = std::env::var("SOAK_ITERATIONS").ok();
    asked.and_then(|count| count.parse().ok()).unwrap_or(brief)
}

/// Fails when the ledger has faults.
fn assert_clean(ledger: &Arc<Ledger>, cluster: &Cluster, seed: u64, after: &str) {
    let faults = ledger.faults();
    assert!(
        faults.is_empty(),
        "CHAOS_SEED={seed}, after {after}, {} faults:\n{}\n{}",
        faults.len(),
        faults.join("\n"),
        cluster.logs()
    );
}
