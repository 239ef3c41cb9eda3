//! A proxy between a client and a node that remembers what passed.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, Response},
};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::recorded::{Answer, Recorded};

/// A running proxy; ends when dropped.
pub(crate) struct Recorder {
    /// Where clients find it.
    pub(crate) address: SocketAddr,
    passed: Arc<Mutex<Vec<(Recorded, Answer)>>>,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Passage {
    node: String,
    passed: Arc<Mutex<Vec<(Recorded, Answer)>>>,
}

impl Recorder {
    /// Starts a proxy of the node at `host:port`.
    pub(crate) async fn start(node: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let passed = Arc::default();
        let passage = Passage {
            node: node.to_owned(),
            passed: Arc::clone(&passed),
        };
        let router = Router::new().fallback(forward).with_state(passage);
        let server = tokio::spawn(async move {
            let end = axum::serve(listener, router).await;
            end.expect("the proxy serves");
        });
        Self {
            address,
            passed,
            server,
        }
    }

    /// Returns what has passed.
    pub(crate) fn passed(&self) -> Vec<(Recorded, Answer)> {
        self.passed.lock().clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn forward(State(passage): State<Passage>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("the request ends").to_bytes();
    let request = Recorded::new(&head, body);
    let answer = request.send(&passage.node).await;
    passage.passed.lock().push((request, answer.clone()));
    answer.into_response()
}
