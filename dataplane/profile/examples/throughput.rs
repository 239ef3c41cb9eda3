//! Measures the path of a push and of a query on given profiles:
//!
//! ```text
//! cargo run --release -p pyroscope-profile --example throughput -- dataplane/profile/tests/corpus/cpu-*.gz
//! ```

use std::hint::black_box;
use std::time::{Duration, Instant};

use pyroscope_profile::pprof::{self, Limits, View};
use pyroscope_profile::{CallSite, PprofMerge, Profile, ProfileType, Tree};

const MEASURE_FOR: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limits = Limits::default();
    for path in std::env::args().skip(1) {
        let gzip = std::fs::read(&path)?;
        let mut view = View::default();
        view.decode(&gzip, limits.uncompressed_bytes)?;
        view.normalise(&limits);
        let stored = view.to_profile();
        let plain = pprof::encode(&pprof::decode(&gzip, limits.uncompressed_bytes)?);
        println!(
            "{path}: {} bytes, {} gzip, {} samples",
            plain.len(),
            gzip.len(),
            stored.sample.len()
        );
        let all = CallSite::default();
        let tree = tree(&stored, &all);
        report("read gzip", plain.len(), || {
            view.decode(&gzip, limits.uncompressed_bytes)
        });
        report("read gzip, new", plain.len(), || {
            View::default().decode(&gzip, limits.uncompressed_bytes)
        });
        report("read plain", plain.len(), || {
            view.decode(&plain, limits.uncompressed_bytes)
        });
        report("validate", plain.len(), || view.validate(&limits));
        report("read, normalise", plain.len(), || {
            let read = view.decode(&plain, limits.uncompressed_bytes);
            view.normalise(&limits);
            read
        });
        report("copy out", plain.len(), || view.to_profile());
        report("encode gzip", plain.len(), || pprof::encode_gzip(&stored));
        report("build tree", plain.len(), || self::tree(&stored, &all));
        report("merge into tree", plain.len(), || {
            let mut sum = tree.clone();
            sum.insert_profile(&stored, 0, &all);
            sum
        });
        report("encode tree", plain.len(), || tree.encode());
        report("flame graph", plain.len(), || tree.to_flamegraph(8192));
        let types = ProfileType::of_columns("any", &stored);
        report("merge two pprofs", 2 * plain.len(), || {
            let mut merge = PprofMerge::new(&types[0]);
            merge.add(&stored, 0, &all);
            merge.add(&stored, 0, &all);
            merge.finish()
        });
    }
    Ok(())
}

fn tree(profile: &Profile, call_site: &CallSite) -> Tree {
    let mut tree = Tree::default();
    tree.insert_profile(profile, 0, call_site);
    tree
}

fn report<T>(what: &str, bytes: usize, mut work: impl FnMut() -> T) {
    let start = Instant::now();
    let cpu = cpu_time();
    let mut runs = 0_u32;
    while start.elapsed() < MEASURE_FOR {
        black_box(work());
        runs += 1;
    }
    let spent = cpu_time().zip(cpu).map(|(after, before)| after - before);
    let each = spent.unwrap_or_else(|| start.elapsed()) / runs;
    let rate = bytes as f64 / each.as_secs_f64() / 1e6;
    println!("  {what:<18} {each:>10.1?}  {rate:>7.0} MB/s");
}

/// CPU time of this thread, where the system tells it.
fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}
