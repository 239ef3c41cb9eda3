//! Thousands of stories, each written by its seed.

use crate::cluster::Cluster;
use crate::network::story::Story;
use crate::network::{Trace, seeds, stage};

fn play(size: usize) -> impl Fn(u64, Trace) -> seeds::Outcome + Sync {
    move |seed, trace| {
        let mut cluster = Cluster::new(seed, size);
        stage::play(&Story::new(seed, size), &mut cluster, trace)
    }
}

#[test]
fn clusters_of_32_come_together_after_anything() {
    seeds::run("32 nodes", seeds::count(8, 1), play(32));
}

#[test]
fn large_clusters_come_together_after_anything() {
    let size = if seeds::soaks() { 256 } else { 64 };
    seeds::run(&format!("{size} nodes"), seeds::count(1, 50), play(size));
}

#[test]
fn small_clusters_come_together_after_anything() {
    for size in [2, 3, 5] {
        seeds::run(&format!("{size} nodes"), seeds::count(5, 10), play(size));
    }
}

#[test]
fn the_same_seed_does_the_same() {
    for seed in 1..=seeds::count(2, 100) {
        let digest = |seed| play(8)(seed, Trace::digest()).digest;
        assert_eq!(digest(seed), digest(seed), "seed {seed}");
        assert_ne!(
            digest(seed),
            digest(seed + 1),
            "the digest tells runs apart"
        );
    }
}
