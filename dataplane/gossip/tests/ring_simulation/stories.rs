//! Thousands of stories, each written by its seed.

use crate::network::story::Story;
use crate::network::{Trace, seeds, stage};
use crate::rings::Rings;

fn play(size: usize) -> impl Fn(u64, Trace) -> seeds::Outcome + Sync {
    move |seed, trace| {
        let mut rings = Rings::new(seed, size);
        stage::play(&Story::new(seed, size), &mut rings, trace)
    }
}

#[test]
fn rings_of_32_agree_after_anything() {
    seeds::run("rings of 32", seeds::count(3, 10), play(32));
}

#[test]
fn large_rings_agree_after_anything() {
    let size = if seeds::soaks() { 128 } else { 48 };
    seeds::run(
        &format!("rings of {size}"),
        seeds::count(1, 1000),
        play(size),
    );
}

#[test]
fn small_rings_agree_after_anything() {
    for size in [2, 3, 7] {
        seeds::run(&format!("rings of {size}"), seeds::count(5, 10), play(size));
    }
}

#[test]
fn the_same_seed_does_the_same() {
    for seed in 1..=seeds::count(1, 100) {
        let digest = |seed| play(6)(seed, Trace::digest()).digest;
        assert_eq!(digest(seed), digest(seed), "seed {seed}");
        assert_ne!(
            digest(seed),
            digest(seed + 1),
            "the digest tells runs apart"
        );
    }
}
