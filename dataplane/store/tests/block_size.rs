//! How large blocks are of real profiles.

#![allow(clippy::unwrap_used)]

mod fixture;

use std::path::Path;

use fixture::{description, open, push, raw};
use profile::{Labels, Profile, pprof};
use pyroscope_store::block::Meta;
use pyroscope_store::{IncomingProfile, TimeRange};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const SERIES: usize = 100;
const SERVICES: usize = 20;
/// Milliseconds between two profiles of a series.
const INTERVAL: i64 = 15_000;

/// What a scraping agent pushes, in the proportions of a Go service.
const KINDS: [(&str, &[&str]); 3] = [
    ("process_cpu", &["cpu-41", "cpu-45", "cpu-47"]),
    ("memory", &["heap-00", "heap-44"]),
    ("mutex", &["mutex-12"]),
];

fn corpus(name: &str) -> Profile {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/corpus");
    let raw = std::fs::read(folder.join(format!("{name}.pb.gz"))).unwrap();
    pprof::decode(&raw, 64 << 20).unwrap()
}

fn incoming(series: usize, n: usize, profile: &Profile) -> IncomingProfile {
    let kind = KINDS[[0, 0, 0, 1, 1, 2][series % 6]].0;
    let service = format!("shop/app-{:02}", series % SERVICES);
    let pod = format!("app-{}-x{series:03}", series / SERVICES);
    let mut profile = profile.clone();
    let round = (n / SERIES) as i64;
    profile.time_nanos = (1_800_000_000_000 + round * INTERVAL + series as i64) * 1_000_000;
    let pairs = [
        ("__name__", kind),
        ("namespace", "shop"),
        ("pod", &pod),
        ("service_name", &service),
    ];
    // As the distributor's identities, these are not to be guessed or compressed.
    let random: [u64; 2] = StdRng::seed_from_u64(n as u64).random();
    let mut id = [0; 16];
    id[..8].copy_from_slice(&random[0].to_be_bytes());
    id[8..].copy_from_slice(&random[1].to_be_bytes());
    IncomingProfile {
        labels: Labels::new(pairs).unwrap(),
        id,
        raw: raw(&profile),
        ..fixture::incoming("", 0, &Profile::default())
    }
}

/// Leaves out a third of the samples and changes the values of half of the others,
/// for a process does not do the same twice.
fn vary(profile: &mut Profile, random: &mut StdRng) {
    profile.sample.retain(|_| random.random_ratio(2, 3));
    for sample in &mut profile.sample {
        if random.random_bool(0.5) {
            let factor = random.random_range(1..4_i64);
            sample.value.iter_mut().for_each(|value| *value *= factor);
        }
    }
}

async fn block(profiles: usize, is_varied: bool) -> Meta {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(&temp.path().join("head"));
    let corpus = KINDS.map(|(_, files)| files.iter().map(|name| corpus(name)).collect::<Vec<_>>());
    let mut random = StdRng::seed_from_u64(1);
    let mut batch = Vec::new();
    for n in 0..profiles {
        let (series, round) = (n % SERIES, n / SERIES);
        let of_kind = &corpus[[0, 0, 0, 1, 1, 2][series % 6]];
        let mut profile = of_kind[(series / SERVICES + round) % of_kind.len()].clone();
        if is_varied {
            vary(&mut profile, &mut random);
        }
        batch.push(incoming(series, n, &profile));
        if batch.len() == 100 || n + 1 == profiles {
            push(&opened.database, std::mem::take(&mut batch))
                .await
                .unwrap();
        }
    }
    let began = std::time::Instant::now();
    let meta = opened
        .database
        .write_block(TimeRange::ALL, temp.path(), description(1))
        .unwrap();
    println!("written in {:?}", began.elapsed());
    opened.database.shutdown().await;
    meta
}

fn report(meta: &Meta) -> u64 {
    let profiles = meta.statistics.profiles;
    let samples = meta.statistics.samples / profiles;
    for file in &meta.files {
        println!(
            "{:>10} {:>6} a profile  {}",
            file.length,
            file.length / profiles,
            file.name
        );
    }
    let each = meta.length() / profiles;
    println!("{profiles} profiles of {samples} stacks: {each} bytes each");
    each
}

/// As many as `BLOCK_PROFILES` says.
fn profiles() -> usize {
    let asked = std::env::var("BLOCK_PROFILES").ok();
    asked.map_or(600, |asked| asked.parse().unwrap())
}

#[tokio::test]
async fn profiles_of_the_corpus_take_little() {
    let each = report(&block(profiles(), false).await);
    assert!(each <= 200, "{each} bytes a profile");
}

#[tokio::test]
async fn profiles_that_all_differ_take_not_much_more() {
    let each = report(&block(profiles(), true).await);
    assert!(each <= 700, "{each} bytes a profile");
}
