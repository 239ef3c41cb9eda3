//! Clients that push without a pause and never push anything twice.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use prost::Message as _;
use proto::{
    google::v1::{Function, Line, Location, Profile, Sample, ValueType},
    push::v1::{PushRequest, RawProfileSeries, RawSample},
    types::v1::LabelPair,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::task::JoinSet;

use super::{Fate, Ledger, endpoints::Endpoints};

/// How clients push.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub clients: usize,
    /// Most profiles of one push; each is of a random service.
    pub batch: usize,
    /// Time between the answer to a push and the next push of a client.
    pub pause: Duration,
    /// Time after which the fate of a push is unknown.
    pub timeout: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            clients: 4,
            batch: 3,
            pause: Duration::from_millis(40),
            timeout: Duration::from_secs(60),
        }
    }
}

/// Clients at work.
#[derive(Debug)]
pub struct Load {
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
    slowest: Arc<AtomicU64>,
    clients: JoinSet<()>,
}

impl Load {
    /// Starts clients that enter all they do in the ledger. A push that fails
    /// without an excuse is a fault.
    pub fn start(ledger: &Arc<Ledger>, endpoints: &Endpoints, plan: Plan, seed: u64) -> Self {
        let mut load = Self {
            ledger: Arc::clone(ledger),
            stop: Arc::default(),
            slowest: Arc::default(),
            clients: JoinSet::new(),
        };
        for number in 0..plan.clients {
            let client = Client {
                ledger: Arc::clone(ledger),
                endpoints: endpoints.clone(),
                plan,
                random: StdRng::seed_from_u64(seed.wrapping_mul(1000) + number as u64),
                http: reqwest::Client::new(),
                stop: Arc::clone(&load.stop),
                slowest: Arc::clone(&load.slowest),
            };
            load.clients.spawn(client.run());
        }
        load
    }

    /// Waits until as many more profiles are acknowledged.
    pub async fn flows(&self, profiles: usize) {
        let before = self.ledger.count(Fate::Acknowledged);
        crate::harness::eventually("pushes are acknowledged", async || {
            (self.ledger.count(Fate::Acknowledged) >= before + profiles).then_some(())
        })
        .await;
    }

    /// Lets every client finish its push; returns the longest time that a push
    /// took.
    pub async fn stop(mut self) -> Duration {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(client) = self.clients.join_next().await {
            client.expect("no client panics");
        }
        Duration::from_millis(self.slowest.load(Ordering::SeqCst))
    }
}

struct Client {
    ledger: Arc<Ledger>,
    endpoints: Endpoints,
    plan: Plan,
    random: StdRng,
    http: reqwest::Client,
    stop: Arc<AtomicBool>,
    slowest: Arc<AtomicU64>,
}

impl Client {
    async fn run(mut self) {
        while !self.stop.load(Ordering::SeqCst) {
            self.push().await;
            tokio::time::sleep(self.plan.pause).await;
        }
    }

    async fn push(&mut self) {
        let Some(endpoint) = self.endpoints.pick(&mut self.random) else {
            return;
        };
        let (numbers, request) = self.request();
        let marks = (endpoint.down.mark(), self.ledger.pushes.mark());
        let began = Instant::now();
        let answer = self
            .http
            .post(format!("{}/push.v1.PusherService/Push", endpoint.url))
            .header("content-type", "application/proto")
            .timeout(self.plan.timeout)
            .body(request.encode_to_vec())
            .send();
        let failure = match answer.await {
            Ok(answer) if answer.status() == 200 => None,
            Ok(answer) => {
                let status = answer.status();
                Some(format!(
                    "{status} {}",
                    answer.text().await.unwrap_or_default()
                ))
            }
            Err(error) => Some(format!("{error:?}")),
        };
        let took = began.elapsed();
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.slowest.fetch_max(took_ms, Ordering::SeqCst);
        let Some(failure) = failure else {
            self.ledger.close(&numbers, Fate::Acknowledged);
            return;
        };
        self.ledger.close(&numbers, Fate::Unknown);
        if !endpoint.down.covers(marks.0) && !self.ledger.pushes.covers(marks.1) {
            let url = &endpoint.url;
            self.ledger.accuse(format!(
                "push of p{} to {url} failed after {took:.1?}: {failure}",
                numbers[0]
            ));
        }
    }

    fn request(&mut self) -> (Vec<usize>, PushRequest) {
        let mut numbers = Vec::new();
        let mut series = Vec::new();
        for _ in 0..self.random.random_range(1..=self.plan.batch) {
            let service = self.random.random_range(0..self.ledger.services());
            let value = self.random.random_range(1..1_000_000_000);
            let number = self.ledger.begin(service, value);
            let label = |name: &str, value: String| LabelPair {
                name: name.to_owned(),
                value,
            };
            let mut raw = pprof(service, number, value).encode_to_vec();
            if self.random.random_bool(0.5) {
                raw = gzip(&raw);
            }
            series.push(RawProfileSeries {
                labels: vec![
                    label("__name__", "process_cpu".to_owned()),
                    label("service_name", self.ledger.service(service)),
                ],
                samples: vec![RawSample {
                    raw_profile: raw.into(),
                    ..RawSample::default()
                }],
                annotations: Vec::new(),
            });
            numbers.push(number);
        }
        (numbers, PushRequest { series })
    }
}

fn gzip(raw: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(raw).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// Returns a CPU profile with one stack: `main`, a function of the service and
/// one of the profile.
fn pprof(service: usize, number: usize, value: i64) -> Profile {
    let strings = ["", "cpu", "nanoseconds", "main"].map(str::to_owned);
    let names = [format!("handle-{service}"), format!("p{number}")];
    let value_type = ValueType { r#type: 1, unit: 2 };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Profile {
        sample_type: vec![value_type],
        sample: vec![Sample {
            location_id: vec![3, 2, 1],
            value: vec![value],
            label: Vec::new(),
        }],
        location: (1..=3)
            .map(|id| Location {
                id,
                line: vec![Line {
                    function_id: id,
                    line: 1,
                }],
                ..Location::default()
            })
            .collect(),
        function: (1..=3)
            .map(|id| Function {
                id,
                name: id as i64 + 2,
                ..Function::default()
            })
            .collect(),
        string_table: strings.into_iter().chain(names).collect(),
        time_nanos: now.map_or(1, |now| now.as_nanos() as i64),
        period_type: Some(value_type),
        period: 1,
        ..Profile::default()
    }
}
