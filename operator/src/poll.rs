//! Asks the pods of every cluster for their view of the ring, and wakes the
//! controller when it changes.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use contract::report::RingReport;
use crds::{PyroscopeCluster, RingStatus};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::observe::Caches;
use crate::render::Component;
use crate::ring::{self, View};

const INTERVAL: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(3);
/// Pods of one cluster that are asked in a round.
const ASKED: usize = 32;
/// Clusters that are asked at a time.
const CLUSTERS: usize = 8;
/// Requests of one cluster at a time.
const CONCURRENCY: usize = 8;
/// Largest answer: a thousand members with some hundred tokens each.
const ANSWER_BYTES: usize = 16 << 20;
/// Rounds that a pod may miss before its last answer is forgotten. A busy node
/// must not make the status flicker.
const MISSES: u32 = 5;

/// What the pods of one cluster said last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) ring: Option<RingStatus>,
    pub(crate) version: Option<String>,
}

impl Seen {
    /// Returns what the status of a cluster says.
    pub(crate) fn reported(cluster: &PyroscopeCluster) -> Self {
        let status = cluster.status.as_ref();
        Self {
            ring: status.and_then(|it| it.ring.clone()),
            version: status
                .map(|it| it.version.clone())
                .filter(|it| !it.is_empty()),
        }
    }
}

/// What the pods of each cluster said last, by the cluster's UID.
pub(crate) type Board = Arc<parking_lot::RwLock<HashMap<String, Seen>>>;

/// Asks pods round by round.
pub(crate) struct Poller {
    pub(crate) caches: Caches,
    pub(crate) board: Board,
    pub(crate) metrics: Metrics,
    pub(crate) wake: mpsc::Sender<ObjectRef<PyroscopeCluster>>,
    http: reqwest::Client,
    /// Answers by the cluster's UID.
    memory: HashMap<String, Answers>,
}

/// Answers by the pod's name.
type Answers = BTreeMap<String, Answer>;

/// The last answer of a pod, and the rounds that it has missed since.
#[derive(Clone, Debug, Default, PartialEq)]
struct Answer {
    report: Option<RingReport>,
    version: Option<String>,
    misses: u32,
}

impl Answer {
    /// Returns the answer after another round; one that was missed leaves the last
    /// answer for a while.
    fn followed_by(self, report: Option<RingReport>, version: Option<String>) -> Self {
        match report {
            Some(_) => Self {
                report,
                version: version.or(self.version),
                misses: 0,
            },
            None if self.misses < MISSES => Self {
                misses: self.misses + 1,
                ..self
            },
            None => Self::default(),
        }
    }
}

impl Poller {
    /// Returns a poller that has asked nobody yet.
    ///
    /// # Errors
    ///
    /// Fails when the HTTP client cannot be built.
    pub(crate) fn new(
        caches: Caches,
        board: Board,
        metrics: Metrics,
        wake: mpsc::Sender<ObjectRef<PyroscopeCluster>>,
    ) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            caches,
            board,
            metrics,
            wake,
            http,
            memory: HashMap::new(),
        })
    }

    /// Runs until `stop` is cancelled.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        // A cluster whose pods are not known yet would seem to have none.
        if self.caches.pods.wait_until_ready().await.is_err() {
            return;
        }
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.round() => {}
            }
        }
    }

    async fn round(&mut self) {
        let clusters = self.caches.clusters.state();
        let uids: Vec<_> = clusters.iter().filter_map(|it| it.uid()).collect();
        self.board.write().retain(|uid, _| uids.contains(uid));
        let mut memory = std::mem::take(&mut self.memory);
        let asked = clusters
            .into_iter()
            .filter(|cluster| cluster.metadata.deletion_timestamp.is_none())
            .filter_map(|cluster| {
                let uid = cluster.uid()?;
                let known = memory.remove(&uid).unwrap_or_default();
                Some((uid, cluster, known))
            });
        let asked: Vec<_> = asked.collect();
        let this = &*self;
        let mut answered = stream::iter(asked)
            .map(|(uid, cluster, known)| async move {
                let answers = this.ask(&cluster, &known).await;
                (uid, cluster, answers)
            })
            .buffer_unordered(CLUSTERS);
        let mut memory = HashMap::new();
        while let Some((uid, cluster, answers)) = answered.next().await {
            this.settle(&uid, &cluster, &answers);
            memory.insert(uid, answers);
        }
        drop(answered);
        self.memory = memory;
    }

    async fn ask(&self, cluster: &PyroscopeCluster, known: &Answers) -> Answers {
        let mut pods = self.reachable(cluster);
        pods.sort();
        pods.truncate(ASKED);
        stream::iter(pods)
            .map(|(pod, address)| {
                let last = known.get(&pod).cloned().unwrap_or_default();
                async move { (pod, self.answer(address, last).await) }
            })
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await
    }

    /// Puts what the pods of a cluster said on the board, and wakes the controller
    /// when it is new.
    fn settle(&self, uid: &str, cluster: &PyroscopeCluster, answers: &Answers) {
        let seen = seen(answers, cluster);
        if self.board.read().get(uid) == Some(&seen) {
            return;
        }
        self.board.write().insert(uid.to_owned(), seen);
        // A full queue wakes the controller already, and it reads the board.
        let _ = self.wake.try_send(ObjectRef::from_obj(cluster));
    }

    /// Returns the names and addresses of the pods that may answer.
    fn reachable(&self, cluster: &PyroscopeCluster) -> Vec<(String, IpAddr)> {
        let pods = self.caches.pods_of(cluster);
        pods.iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .filter_map(|pod| Some((pod.name_any(), running_at(pod)?)))
            .collect()
    }

    async fn answer(&self, address: IpAddr, last: Answer) -> Answer {
        let report = self.get::<RingReport>(address, "/ring").await;
        self.metrics.polled(report.is_some());
        let version = match report {
            Some(_) => self.version(address).await,
            None => None,
        };
        last.followed_by(report, version)
    }

    async fn version(&self, address: IpAddr) -> Option<String> {
        let info = self
            .get::<BuildInfo>(address, "/api/v1/status/buildinfo")
            .await?;
        Some(info.data.version)
    }

    async fn get<T: DeserializeOwned>(&self, address: IpAddr, path: &str) -> Option<T> {
        let host = std::net::SocketAddr::new(address, contract::ports::HTTP);
        let request = self
            .http
            .get(format!("http://{host}{path}"))
            .header("accept", "application/json");
        match fetch(request).await {
            Ok(body) => serde_json::from_slice(&body)
                .inspect_err(|error| tracing::debug!(%host, path, %error, "answer not understood"))
                .ok(),
            Err(error) => {
                tracing::debug!(%host, path, %error, "pod does not answer");
                None
            }
        }
    }
}

/// The part of `/api/v1/status/buildinfo` that is shown.
#[derive(Deserialize)]
struct BuildInfo {
    data: BuildData,
}

#[derive(Deserialize)]
struct BuildData {
    version: String,
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("answer is larger than {ANSWER_BYTES} bytes")]
    TooLarge,
}

async fn fetch(request: reqwest::RequestBuilder) -> Result<Vec<u8>, FetchError> {
    let mut response = request.send().await?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER_BYTES {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn seen(answers: &Answers, cluster: &PyroscopeCluster) -> Seen {
    let views: Vec<View> = answers
        .iter()
        .map(|(pod, answer)| View {
            pod: pod.clone(),
            report: answer.report.clone(),
        })
        .collect();
    let in_ring = Component::in_ring(cluster.spec.mode);
    Seen {
        ring: ring::summarize(&views, in_ring.replicas(cluster)),
        version: versions(answers),
    }
}

/// Returns the version of the pods, or all of them during an update.
fn versions(answers: &Answers) -> Option<String> {
    let mut versions: Vec<_> = answers
        .values()
        .filter_map(|answer| answer.version.as_deref())
        .filter(|version| !version.is_empty())
        .collect();
    versions.sort_unstable();
    versions.dedup();
    (!versions.is_empty()).then(|| versions.join(","))
}

fn running_at(pod: &Pod) -> Option<IpAddr> {
    let status = pod.status.as_ref()?;
    let running = status.phase.as_deref() == Some("Running");
    running
        .then(|| status.pod_ip.as_ref()?.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(version: &str) -> Answer {
        Answer::default().followed_by(Some(RingReport::default()), Some(version.to_owned()))
    }

    #[test]
    fn last_answer_outlives_a_few_misses() {
        let mut answer = answered("1");
        for _ in 0..MISSES {
            answer = answer.followed_by(None, None);
            assert_eq!(answer.report, Some(RingReport::default()));
        }
        assert_eq!(answer.followed_by(None, None), Answer::default());
    }

    #[test]
    fn an_answer_forgets_earlier_misses() {
        let missed = answered("1").followed_by(None, None);
        assert_eq!(
            missed.followed_by(Some(RingReport::default()), None),
            answered("1")
        );
    }

    #[test]
    fn every_version_in_use_is_told() {
        let pods = [
            ("a", answered("2")),
            ("b", answered("1")),
            ("c", answered("2")),
            ("d", Answer::default()),
        ];
        let answers: Answers = pods
            .into_iter()
            .map(|(pod, it)| (pod.to_owned(), it))
            .collect();
        assert_eq!(versions(&answers).as_deref(), Some("1,2"));
        assert_eq!(versions(&Answers::new()), None);
    }

    #[test]
    fn only_running_pods_are_asked() {
        let pod = |phase: &str, ip: &str| -> Pod {
            let status = serde_json::json!({"status": {"phase": phase, "podIP": ip}});
            serde_json::from_value(status).unwrap()
        };
        assert_eq!(
            running_at(&pod("Running", "10.0.0.1")),
            "10.0.0.1".parse().ok()
        );
        assert_eq!(
            running_at(&pod("Running", "fd00::1")),
            "fd00::1".parse().ok()
        );
        assert_eq!(running_at(&pod("Succeeded", "10.0.0.1")), None);
        assert_eq!(running_at(&pod("Running", "not an address")), None);
        assert_eq!(running_at(&Pod::default()), None);
    }
}
