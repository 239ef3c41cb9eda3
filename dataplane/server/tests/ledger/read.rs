//! Readers that query without a pause and hold every answer against the ledger.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use prost::Message;
use proto::{
    google::v1::Profile,
    querier::v1::{
        FlameGraph, SelectMergeProfileRequest, SelectMergeStacktracesRequest,
        SelectMergeStacktracesResponse, SelectSeriesRequest, SelectSeriesResponse,
    },
    reader::v1::{
        MergeFormat, MergeRequest, SelectRequest, reader_service_client::ReaderServiceClient,
    },
    types::v1::{LabelValuesRequest, LabelValuesResponse},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::task::JoinSet;

use super::{Ledger, endpoints::Endpoints, functions_of, number_of};
use crate::harness::{CPU, PATIENCE, now_ms};

/// The ways to ask for the same profiles.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Pprof,
    FlameGraph,
    Series,
    Services,
}

const KINDS: [Kind; 4] = [Kind::Pprof, Kind::FlameGraph, Kind::Series, Kind::Services];

/// Why a read did not confirm the ledger.
#[derive(Debug)]
enum Failure {
    /// There was no answer, or one that says that it failed.
    Error(String),
    /// The answer is wrong.
    Wrong(String),
}

/// Readers at work.
#[derive(Debug)]
pub struct Readers {
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
    readers: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Counts {
    answers: AtomicUsize,
    errors: AtomicUsize,
    slowest_ms: AtomicU64,
}

/// What readers have seen.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Answers, each in agreement with the ledger or a fault.
    pub answers: usize,
    /// Errors, each excused or a fault.
    pub errors: usize,
    /// Longest time that an answer took.
    pub slowest: Duration,
}

impl Readers {
    /// Starts readers. A wrong answer is a fault, and so is an error without an
    /// excuse.
    pub fn start(ledger: &Arc<Ledger>, endpoints: &Endpoints, count: usize, seed: u64) -> Self {
        let mut readers = Self {
            stop: Arc::default(),
            counts: Arc::default(),
            readers: JoinSet::new(),
        };
        for number in 0..count {
            let reader = Reader {
                ledger: Arc::clone(ledger),
                endpoints: endpoints.clone(),
                random: StdRng::seed_from_u64(seed.wrapping_mul(1000) + 500 + number as u64),
                http: reqwest::Client::new(),
                stop: Arc::clone(&readers.stop),
                counts: Arc::clone(&readers.counts),
            };
            readers.readers.spawn(reader.run());
        }
        readers
    }

    /// Lets every reader finish its query.
    pub async fn stop(mut self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(reader) = self.readers.join_next().await {
            reader.expect("no reader panics");
        }
        Seen {
            answers: self.counts.answers.load(Ordering::SeqCst),
            errors: self.counts.errors.load(Ordering::SeqCst),
            slowest: Duration::from_millis(self.counts.slowest_ms.load(Ordering::SeqCst)),
        }
    }
}

struct Reader {
    ledger: Arc<Ledger>,
    endpoints: Endpoints,
    random: StdRng,
    http: reqwest::Client,
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

impl Reader {
    async fn run(mut self) {
        while !self.stop.load(Ordering::SeqCst) {
            self.read().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn read(&mut self) {
        let Some(endpoint) = self.endpoints.pick(&mut self.random) else {
            return;
        };
        let kind = KINDS[self.random.random_range(0..KINDS.len())];
        let service = self.random.random_range(0..2 * self.ledger.services());
        let service = (service < self.ledger.services()).then_some(service);
        let marks = (endpoint.down.mark(), self.ledger.reads.mark());
        let began = Instant::now();
        let result = read(&self.http, &endpoint.url, &self.ledger, kind, service).await;
        let took = began.elapsed();
        match result {
            Ok(()) => {
                self.counts.answers.fetch_add(1, Ordering::SeqCst);
                let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                self.counts.slowest_ms.fetch_max(took_ms, Ordering::SeqCst);
            }
            Err(Failure::Wrong(what)) => {
                self.ledger.accuse(format!(
                    "wrong answer ({kind:?}) of {} after {took:.1?}: {what}",
                    endpoint.url
                ));
            }
            Err(Failure::Error(what)) => {
                self.counts.errors.fetch_add(1, Ordering::SeqCst);
                if !endpoint.down.covers(marks.0) && !self.ledger.reads.covers(marks.1) {
                    self.ledger.accuse(format!(
                        "query ({kind:?}) of {} failed after {took:.1?}: {what}",
                        endpoint.url
                    ));
                }
            }
        }
    }
}

/// Holds the whole ledger against what a querier answers in every way; waits
/// for as long as it answers with errors.
pub async fn verify(ledger: &Arc<Ledger>, url: &str) {
    let http = reqwest::Client::new();
    let deadline = Instant::now() + PATIENCE;
    for kind in KINDS {
        loop {
            match read(&http, url, ledger, kind, None).await {
                Ok(()) => break,
                Err(Failure::Wrong(what)) => {
                    ledger.accuse(format!(
                        "wrong answer ({kind:?}) of {url} at the end: {what}"
                    ));
                    break;
                }
                Err(Failure::Error(what)) if Instant::now() > deadline => {
                    ledger.accuse(format!("{url} does not answer ({kind:?}): {what}"));
                    break;
                }
                Err(Failure::Error(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// Waits until one ingester alone has all that is acknowledged now.
pub async fn verify_ingester(ledger: &Arc<Ledger>, address: &str) {
    let expected = ledger.expect(None);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let what = match held(address).await {
            Ok(profile) => expected.check_functions(&functions_of(&profile)),
            Err(status) => Err(status.to_string()),
        };
        let Err(what) = what else {
            return;
        };
        if Instant::now() > deadline {
            ledger.accuse(format!("ingester {address} has a hole: {what}"));
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Merges what one ingester has.
async fn held(address: &str) -> Result<Profile, tonic::Status> {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}"));
    let connected = endpoint.expect("an address").connect().await;
    let channel = connected.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
    let mut client = ReaderServiceClient::new(channel).max_decoding_message_size(usize::MAX);
    let select = SelectRequest {
        profile_type: CPU.to_owned(),
        label_selector: "{}".to_owned(),
        end: i64::MAX,
        ..SelectRequest::default()
    };
    let keys = client.select(select.clone()).await?.into_inner().keys;
    let request = MergeRequest {
        select: Some(select),
        keys,
        format: MergeFormat::Pprof.into(),
        ..MergeRequest::default()
    };
    let data = client.merge(request).await?.into_inner().data;
    Ok(Profile::decode(data).expect("an ingester sends a profile"))
}

async fn read(
    http: &reqwest::Client,
    url: &str,
    ledger: &Arc<Ledger>,
    kind: Kind,
    service: Option<usize>,
) -> Result<(), Failure> {
    let selector = match service {
        Some(number) => format!("{{service_name=\"{}\"}}", ledger.service(number)),
        None => "{}".to_owned(),
    };
    let (start, end) = (now_ms() - 3_600_000, now_ms() + 600_000);
    let expected = ledger.expect(service);
    let right = match kind {
        Kind::Pprof => {
            let request = SelectMergeProfileRequest {
                profile_type_id: CPU.to_owned(),
                label_selector: selector,
                start,
                end,
                ..Default::default()
            };
            let profile: Profile = ask(http, url, "SelectMergeProfile", &request).await?;
            expected.check_functions(&functions_of(&profile))
        }
        Kind::FlameGraph => {
            let request = SelectMergeStacktracesRequest {
                profile_type_id: CPU.to_owned(),
                label_selector: selector,
                start,
                end,
                max_nodes: Some(1 << 20),
                ..Default::default()
            };
            let answer: SelectMergeStacktracesResponse =
                ask(http, url, "SelectMergeStacktraces", &request).await?;
            let graph = answer.flamegraph.unwrap_or_default();
            expected.check_functions(&functions_of_graph(&graph))
        }
        Kind::Series => {
            let request = SelectSeriesRequest {
                profile_type_id: CPU.to_owned(),
                label_selector: selector,
                start,
                end,
                group_by: vec!["service_name".to_owned()],
                step: 100_000.0,
                ..Default::default()
            };
            let answer: SelectSeriesResponse = ask(http, url, "SelectSeries", &request).await?;
            expected.check_sums(&sums_of(ledger, &answer))
        }
        Kind::Services => {
            let request = LabelValuesRequest {
                name: "service_name".to_owned(),
                matchers: vec![selector],
                start,
                end,
            };
            let answer: LabelValuesResponse = ask(http, url, "LabelValues", &request).await?;
            expected.check_services(&answer.names)
        }
    };
    right.map_err(Failure::Wrong)
}

async fn ask<M: Message + Default>(
    http: &reqwest::Client,
    url: &str,
    method: &str,
    request: &impl Message,
) -> Result<M, Failure> {
    let error = |error: reqwest::Error| Failure::Error(format!("{error:?}"));
    let answer = http
        .post(format!("{url}/querier.v1.QuerierService/{method}"))
        .header("content-type", "application/proto")
        .timeout(Duration::from_secs(90))
        .body(request.encode_to_vec())
        .send()
        .await
        .map_err(error)?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(error)?;
    if status != 200 {
        let text = String::from_utf8_lossy(&body);
        return Err(Failure::Error(format!("{status} {text}")));
    }
    M::decode(body).map_err(|error| Failure::Wrong(format!("the answer does not decode: {error}")))
}

/// Sums the values of each profile's function in a flame graph, whose nodes
/// have four numbers each: offset, total, own value, name.
fn functions_of_graph(graph: &FlameGraph) -> BTreeMap<usize, i64> {
    let mut found = BTreeMap::new();
    for level in &graph.levels {
        for node in level.values.as_chunks::<4>().0 {
            let name = graph.names.get(node[3] as usize);
            if let Some(number) = name.and_then(|name| number_of(name)) {
                *found.entry(number).or_default() += node[1];
            }
        }
    }
    found
}

fn sums_of(ledger: &Ledger, answer: &SelectSeriesResponse) -> BTreeMap<usize, i64> {
    let numbers: BTreeMap<String, usize> = (0..ledger.services())
        .map(|number| (ledger.service(number), number))
        .collect();
    let mut sums = BTreeMap::new();
    for series in &answer.series {
        let service = series
            .labels
            .iter()
            .find(|pair| pair.name == "service_name");
        if let Some(&number) = service.and_then(|pair| numbers.get(&pair.value)) {
            let sum: f64 = series.points.iter().map(|point| point.value).sum();
            *sums.entry(number).or_default() += sum as i64;
        }
    }
    sums
}
