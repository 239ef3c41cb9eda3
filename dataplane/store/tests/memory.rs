//! The estimate of the head against what the process really takes.

#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

mod fixture;

use std::path::Path;

use bytes::Bytes;
use fixture::{Opened, TENANT, id, incoming, open, pprof};
use profile::Labels;
use pyroscope_store::{IncomingProfile, PushLimits};

/// That of the executable that ships.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

async fn push(opened: &Opened, profiles: Vec<IncomingProfile>) {
    for profile in profiles {
        let limits = PushLimits::default();
        opened
            .database
            .push(TENANT, vec![profile], limits)
            .await
            .unwrap();
    }
}

/// Pushes, and compares what the estimate and the process grew by.
async fn compare(opened: &Opened, what: &str, profiles: Vec<IncomingProfile>) {
    let (estimate, real) = (opened.database.head_bytes(), resident());
    push(opened, profiles).await;
    let estimate = (opened.database.head_bytes() - estimate) as f64;
    let real = resident().saturating_sub(real) as f64;
    assert!(
        (0.4..2.5).contains(&(estimate / real)),
        "{what}: estimated {estimate}, really {real}"
    );
}

fn real_profile(raw: &Bytes, n: u64) -> IncomingProfile {
    let pod = format!("pod-{}", n % 100);
    let labels = [
        ("__name__", "process_cpu"),
        ("service_name", "app"),
        ("pod", &pod),
    ];
    IncomingProfile {
        labels: Labels::new(labels).unwrap(),
        id: id(n),
        raw: raw.clone(),
        view: None,
        digest: None,
    }
}

/// A profile whose symbols are all its own.
fn strange_profile(n: u64) -> IncomingProfile {
    let names: Vec<String> = (0..500)
        .map(|k| format!("package{n}.function{k}"))
        .collect();
    let stacks: Vec<Vec<&str>> = names
        .windows(4)
        .map(|names| names.iter().map(String::as_str).collect())
        .collect();
    let samples: Vec<_> = stacks.iter().map(|stack| (&stack[..], [1, 10])).collect();
    incoming("strange", n, &pprof(1000, &samples))
}

/// One test, so that nothing else grows meanwhile.
#[tokio::test]
async fn the_estimate_is_honest() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profile/tests/corpus");
    let raw = Bytes::from(std::fs::read(corpus.join("heap-44.pb.gz")).unwrap());
    // Buffers and tables reach their size.
    push(&opened, (0..100).map(|n| real_profile(&raw, n)).collect()).await;
    push(&opened, (1000..1010).map(strange_profile).collect()).await;

    let known = (100..700).map(|n| real_profile(&raw, n)).collect();
    compare(&opened, "known symbols", known).await;
    let strange = (1010..1070).map(strange_profile).collect();
    compare(&opened, "new symbols", strange).await;
}
