//! Measures what storing given profiles costs, in CPU time and memory:
//!
//! ```text
//! cargo run --release -p pyroscope-store --example pushes -- dataplane/profile/tests/corpus/cpu-*.gz
//! ```

use std::sync::Arc;

use bytes::Bytes;
use profile::Labels;
use profile::pprof::{Limits, ReusedView};
use prometheus_client::registry::Registry;
use pyroscope_store::{Database, IncomingProfile, Options, PushLimits};

/// The executable's own allocator, as that of `pyroscope`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PROFILES: usize = 8000;
const SERIES: usize = 500;

type Error = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let files: Result<Vec<Bytes>, _> = std::env::args()
        .skip(1)
        .map(|path| std::fs::read(path).map(Bytes::from))
        .collect();
    let files = files?;
    for is_read in [false, true] {
        let directory = tempfile::tempdir()?;
        let options = Options::default();
        let (database, _) = Database::open(&directory, options, &mut Registry::default())?;
        let resident_before = resident()?;
        let mut cpu = 0;
        for n in 0..PROFILES {
            let incoming = incoming(&files[n % files.len()], n, is_read)?;
            let before = cpu_nanos()?;
            let push = database.push("anonymous", vec![incoming], PushLimits::default());
            push.await?;
            cpu += cpu_nanos()? - before;
        }
        println!(
            "{} profiles, read before: {is_read}: {} us of CPU each, {} MiB more resident, {} MiB estimated",
            PROFILES,
            cpu / 1000 / PROFILES as u64,
            (resident()? - resident_before) >> 20,
            database.head_bytes() >> 20,
        );
        database.shutdown().await;
    }
    Ok(())
}

fn incoming(raw: &Bytes, n: usize, is_read: bool) -> Result<IncomingProfile, Error> {
    let series = n % SERIES;
    let (service, pod) = (format!("service-{}", series % 25), format!("pod-{series}"));
    let labels = [
        ("__name__", "process_cpu"),
        ("service_name", &service),
        ("pod", &pod),
        ("namespace", "shop"),
    ];
    let mut view = ReusedView::take();
    view.decode(raw, 4 << 20)?;
    view.normalise(&Limits::default());
    Ok(IncomingProfile {
        labels: Labels::new(labels)?,
        id: (n as u128).to_be_bytes(),
        raw: raw.clone(),
        view: is_read.then(|| Arc::new(view)),
        digest: None,
    })
}

/// CPU time of this thread; the log is written by another.
fn cpu_nanos() -> Result<u64, Error> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split(' ').next().unwrap_or_default();
    Ok(nanos.parse()?)
}

fn resident() -> Result<u64, Error> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages = pages.split(' ').nth(1).unwrap_or_default();
    Ok(pages.parse::<u64>()? * 4096)
}
