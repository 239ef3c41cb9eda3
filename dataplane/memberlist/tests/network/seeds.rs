//! Runs a test with many seeds on all cores, and says how it went.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Trace;

/// What one run came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// Virtual time that went by.
    pub(crate) elapsed: Duration,
    /// How long it took after everything was healed until all agreed.
    pub(crate) convergence: Duration,
    /// Stands for everything that happened, if the trace was a digest.
    pub(crate) digest: u64,
}

/// Runs `play` with `count` seeds, or with that of `SEED` alone.
///
/// A seed that fails is played once more with a trace, which is printed.
pub(crate) fn run(title: &str, count: u64, play: impl Fn(u64, Trace) -> Outcome + Sync) {
    if let Some(seed) = number("SEED") {
        println!("{title}: seed {seed}");
        play(seed, Trace::lines());
        return;
    }
    #[allow(
        clippy::disallowed_methods,
        reason = "the time that the test itself takes"
    )]
    let started = Instant::now();
    let (outcomes, failed) = play_all(count, &play);
    println!("{title}: {}", summary(&outcomes, started.elapsed()));
    if let Some(&seed) = failed.first() {
        println!("{title}: failed with seeds {failed:?}");
        play(seed, Trace::lines());
        panic!("seed {seed} failed once and then did not");
    }
}

/// Returns how many seeds to run: `few`, or a share of `SOAK_SEEDS`.
pub(crate) fn count(few: u64, share: u64) -> u64 {
    number("SOAK_SEEDS").map_or(few, |seeds| (seeds / share).max(1))
}

/// Whether more is asked for than a look.
pub(crate) fn soaks() -> bool {
    number("SOAK_SEEDS").is_some()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn play_all(
    count: u64,
    play: &(impl Fn(u64, Trace) -> Outcome + Sync),
) -> (Vec<(u64, Outcome)>, Vec<u64>) {
    let next = AtomicU64::new(1);
    let outcomes = Mutex::new(Vec::new());
    let failed = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > count {
                return;
            }
            match catch_unwind(AssertUnwindSafe(|| play(seed, Trace::Off))) {
                Ok(outcome) => outcomes
                    .lock()
                    .expect("nobody panics with it")
                    .push((seed, outcome)),
                Err(_) => {
                    println!("seed {seed} fails");
                    failed.lock().expect("nobody panics with it").push(seed);
                }
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    let mut failed = failed.into_inner().expect("nobody panics with it");
    failed.sort_unstable();
    (
        outcomes.into_inner().expect("nobody panics with it"),
        failed,
    )
}

fn summary(outcomes: &[(u64, Outcome)], wall: Duration) -> String {
    let virtual_time: Duration = outcomes.iter().map(|(_, outcome)| outcome.elapsed).sum();
    let mut times: Vec<(Duration, u64)> = outcomes
        .iter()
        .map(|(seed, outcome)| (outcome.convergence, *seed))
        .collect();
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len().saturating_sub(1) * percent / 100);
    let [Some(median), Some(p99), Some(worst)] = [at(50), at(99), at(100)] else {
        return "no seed succeeded".to_owned();
    };
    format!(
        "{} seeds, {:.1} h of virtual time in {:.1} s; one again after {:.1} s (median), {:.1} s (99 %), {:.1} s (worst, seed {})",
        outcomes.len(),
        virtual_time.as_secs_f64() / 3600.0,
        wall.as_secs_f64(),
        median.0.as_secs_f64(),
        p99.0.as_secs_f64(),
        worst.0.as_secs_f64(),
        worst.1,
    )
}
