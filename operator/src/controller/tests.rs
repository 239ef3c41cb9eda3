use std::collections::BTreeMap;

use bytes::Bytes;
use futures::stream;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use kube::client::Body;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::*;

type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

/// An API server in memory. It lists and keeps what is applied; its watches stay
/// silent, so that a controller sees what was there when it started.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Objects by path.
    objects: BTreeMap<String, Value>,
    /// Method and path of every write.
    writes: Vec<String>,
}

const CLUSTERS: &str = "/apis/pyroscope-operator.dev/v1alpha1/namespaces/b/pyroscopeclusters";

impl Server {
    fn with_cluster(spec: Value) -> Self {
        let server = Self::default();
        let cluster = json!({
            "apiVersion": "pyroscope-operator.dev/v1alpha1",
            "kind": "PyroscopeCluster",
            "metadata": {"name": "a", "namespace": "b", "uid": "c", "generation": 1, "resourceVersion": "1"},
            "spec": spec,
        });
        server.put(&format!("{CLUSTERS}/a"), cluster);
        server
    }

    fn put(&self, path: &str, object: Value) {
        self.0.lock().objects.insert(path.to_owned(), object);
    }

    fn writes(&self) -> Vec<String> {
        self.0.lock().writes.clone()
    }

    fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, std::convert::Infallible>(server.answer(request).await) }
        });
        Client::new(service, "b")
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let (head, body) = request.into_parts();
        if head.uri.query().is_some_and(|it| it.contains("watch=true")) {
            let silence = stream::pending::<Result<Frame<Bytes>, std::io::Error>>();
            return Response::new(StreamBody::new(silence).boxed_unsync());
        }
        let body = body.collect().await.unwrap().to_bytes();
        let (code, answer) = self.respond(&head.method, head.uri.path(), &body);
        let answer = Full::new(Bytes::from(answer.to_string()));
        Response::builder()
            .status(code)
            .body(answer.map_err(|never| match never {}).boxed_unsync())
            .unwrap()
    }

    fn respond(&self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        if method != Method::GET {
            return (201, self.write(method, path, body));
        }
        if let Some(object) = self.0.lock().objects.get(path) {
            return (200, object.clone());
        }
        match path.rsplit_once('/') {
            Some((_, plural)) if plural.ends_with('s') => (200, self.list(plural)),
            _ => (
                404,
                json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "not found"}),
            ),
        }
    }

    /// Lists a kind as the API server does: the objects do not say what they are.
    fn list(&self, plural: &str) -> Value {
        let objects = self.0.lock().objects.clone();
        let items: Vec<Value> = objects
            .into_iter()
            .filter(|(path, _)| path.rsplit('/').nth(1) == Some(plural))
            .map(|(_, mut object)| {
                let fields = object.as_object_mut().unwrap();
                fields.remove("apiVersion");
                fields.remove("kind");
                object
            })
            .collect();
        json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items})
    }

    fn write(&self, method: &Method, path: &str, body: &[u8]) -> Value {
        let mut state = self.0.lock();
        state.writes.push(format!("{method} {path}"));
        if path.contains("events.k8s.io") {
            return serde_json::from_slice(body).unwrap();
        }
        let mut object: Value = serde_json::from_slice(body).unwrap();
        if let Some(path) = path.strip_suffix("/status") {
            let cluster = state.objects.get_mut(path).unwrap();
            cluster["status"] = object["status"].clone();
            return cluster.clone();
        }
        object["metadata"]["uid"] = json!(path);
        object["metadata"]["resourceVersion"] = json!("1");
        state.objects.insert(path.to_owned(), object.clone());
        object
    }
}

/// Runs a controller until it has reconciled once, as after a start of the operator.
async fn run_once(server: &Server) {
    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    let stop = CancellationToken::new();
    let controller = tokio::spawn(run(
        server.client(),
        Scope::Everywhere,
        Platform {
            default_image: "pyroscope:0.1.0".to_owned(),
            claim_retention: true,
        },
        metrics,
        Freshness::default(),
        stop.clone(),
    ));
    let reconciled = async {
        while !has_reconciled(&registry) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), reconciled).await;
    waited.expect("a reconciliation within a minute");
    stop.cancel();
    controller.await.unwrap().unwrap();
}

fn has_reconciled(registry: &Registry) -> bool {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    text.contains("reconciles_total{")
}

#[tokio::test]
async fn restarted_operator_writes_nothing() {
    let server = Server::with_cluster(json!({"replicationFactor": 3}));
    run_once(&server).await;
    let first = server.writes();
    assert!(
        first
            .iter()
            .any(|it| it.ends_with("/statefulsets/a-ingester")),
        "{first:#?}"
    );
    assert!(
        first.contains(&format!("PATCH {CLUSTERS}/a/status")),
        "{first:#?}"
    );
    run_once(&server).await;
    assert_eq!(server.writes(), first);
}

#[tokio::test]
async fn object_of_somebody_else_is_left_alone() {
    let server = Server::with_cluster(json!({}));
    let foreign = "/api/v1/namespaces/b/services/a";
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"type": "NodePort"}});
    server.put(foreign, service.clone());
    run_once(&server).await;
    let state = server.0.lock();
    assert_eq!(state.objects[foreign], service);
    let ready = &state.objects[&format!("{CLUSTERS}/a")]["status"]["conditions"][0];
    assert_eq!(ready["reason"], "ApplyFailed");
    assert!(
        ready["message"]
            .as_str()
            .unwrap()
            .contains("Service a exists"),
        "{ready}"
    );
    // The rest is there all the same.
    assert!(
        state
            .objects
            .contains_key("/apis/apps/v1/namespaces/b/statefulsets/a-ingester")
    );
}

#[tokio::test]
async fn object_that_is_wanted_no_more_is_deleted() {
    let server = Server::with_cluster(json!({}));
    run_once(&server).await;
    let path = format!("{CLUSTERS}/a");
    let account = "DELETE /api/v1/namespaces/b/serviceaccounts/a".to_owned();
    assert!(!server.writes().contains(&account));
    server.0.lock().objects.get_mut(&path).unwrap()["spec"]["serviceAccount"] =
        json!({"name": "other"});
    run_once(&server).await;
    assert!(server.writes().contains(&account), "{:#?}", server.writes());
}

#[tokio::test]
async fn cluster_that_is_being_deleted_is_left_alone() {
    let server = Server::with_cluster(json!({}));
    let path = format!("{CLUSTERS}/a");
    server.0.lock().objects.get_mut(&path).unwrap()["metadata"]["deletionTimestamp"] =
        json!("2026-01-01T00:00:00Z");
    run_once(&server).await;
    assert_eq!(server.writes(), Vec::<String>::new());
}

#[test]
fn pauses_double_up_to_a_limit() {
    let seconds: Vec<_> = (0..9).map(|it| backoff(it).as_secs()).collect();
    assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
    assert_eq!(backoff(u32::MAX), LAST_RETRY);
}

#[test]
fn a_phase_is_announced_once() {
    let running = PyroscopeClusterStatus {
        phase: Phase::Running,
        ..PyroscopeClusterStatus::default()
    };
    let reasons = |before: Option<&PyroscopeClusterStatus>| -> Vec<String> {
        events(before, &running)
            .into_iter()
            .map(|it| it.reason)
            .collect()
    };
    assert_eq!(reasons(None), ["Running"]);
    assert_eq!(reasons(Some(&running)), Vec::<String>::new());
}
