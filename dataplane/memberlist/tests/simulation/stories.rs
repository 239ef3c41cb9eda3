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
    seeds::run("32 nodes", seeds::count(40, 1), play(32));
}

#[test]
fn clusters_of_256_come_together_after_anything() {
    seeds::run("256 nodes", seeds::count(1, 50), play(256));
}

#[test]
fn small_clusters_come_together_after_anything() {
    for size in [2, 3, 5] {
        seeds::run(&format!("{size} nodes"), seeds::count(20, 10), play(size));
    }
}

#[test]
fn the_same_seed_does_the_same() {
    for seed in 1..=seeds::count(5, 100) {
        let digest = |seed| play(8)(seed, Trace::digest()).digest;
        assert_eq!(digest(seed), digest(seed), "seed {seed}");
        assert_ne!(
            digest(seed),
            digest(seed + 1),
            "the digest tells runs apart"
        );
    }
}
