//! Bounds what all requests of a component take together, before memory does:
//! their number, their bytes and their time.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use futures::StreamExt as _;
use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use tonic::Status;

use crate::rpc::Protocol;

/// What a request is charged before its body is read, in bytes.
const REQUEST_BYTES: usize = 16 << 10;

/// What all requests of a component may take together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Most requests at once; 0 is any number.
    pub requests: usize,
    /// Most bytes of their bodies, as received and as decompressed. A request
    /// that is alone may take more: it has limits of its own.
    pub bytes: usize,
}

/// Admits requests while there is room for them; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    room: Arc<Room>,
    timeout: Duration,
}

#[derive(Debug)]
struct Room {
    bounds: Bounds,
    taken: Mutex<Taken>,
    refused: Refused,
}

#[derive(Debug, Default, Clone, Copy)]
struct Taken {
    requests: usize,
    bytes: usize,
}

/// How often there was no room.
#[derive(Debug, Default)]
struct Refused {
    for_requests: AtomicU64,
    for_bytes: AtomicU64,
}

impl Admission {
    /// Creates bounds of what is under way at once, and of the time of each
    /// request.
    pub(crate) fn new(bounds: Bounds, timeout: Duration) -> Self {
        Self {
            room: Arc::new(Room {
                bounds,
                taken: Mutex::default(),
                refused: Refused::default(),
            }),
            timeout,
        }
    }

    /// Applies the bounds to every route of `router`.
    pub(crate) fn guard(&self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(self.clone(), admit))
    }

    /// Admits a request.
    ///
    /// # Errors
    ///
    /// `unavailable` when there are too many.
    pub(crate) fn share(&self) -> Result<Share, Status> {
        let Bounds { requests, .. } = self.room.bounds;
        let mut taken = self.room.taken.lock();
        if requests > 0 && taken.requests >= requests {
            self.room.refused.for_requests.fetch_add(1, Relaxed);
            return Err(Status::unavailable(
                "too many requests are in flight; try again later",
            ));
        }
        taken.requests += 1;
        drop(taken);
        let share = Share(Arc::new(Part {
            room: Arc::clone(&self.room),
            bytes: Mutex::new(0),
        }));
        share.take(REQUEST_BYTES).map(|()| share)
    }
}

/// The room that one request takes, given back with the last clone.
///
/// Handlers find it among the extensions of their request.
#[derive(Debug, Clone)]
pub(crate) struct Share(Arc<Part>);

#[derive(Debug)]
struct Part {
    room: Arc<Room>,
    bytes: Mutex<usize>,
}

impl Share {
    /// Takes room for more bytes.
    ///
    /// # Errors
    ///
    /// `unavailable` when all room is taken: waiting for it could be waiting
    /// for requests that wait as well.
    pub(crate) fn take(&self, bytes: usize) -> Result<(), Status> {
        let Part { room, bytes: own } = &*self.0;
        let mut own = own.lock();
        let mut taken = room.taken.lock();
        let total = taken.bytes.saturating_add(bytes);
        if total > room.bounds.bytes && taken.bytes > *own {
            room.refused.for_bytes.fetch_add(1, Relaxed);
            return Err(Status::unavailable(
                "too many bytes of requests are in flight; try again later",
            ));
        }
        taken.bytes = total;
        *own = own.saturating_add(bytes);
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut taken = self.room.taken.lock();
        taken.requests -= 1;
        taken.bytes = taken.bytes.saturating_sub(*self.bytes.get_mut());
    }
}

/// Metrics of the bounds of components, read when they are.
#[derive(Debug)]
pub(crate) struct AdmissionMetrics(Vec<(&'static str, Admission)>);

impl AdmissionMetrics {
    /// Creates the metrics of components by their names.
    pub(crate) fn new(components: Vec<(&'static str, Admission)>) -> Self {
        Self(components)
    }
}

/// Name, help and kind of a metric.
type Described<'a> = (&'a str, &'a str, MetricType);

const INFLIGHT_REQUESTS: Described<'_> = (
    "pyroscope_inflight_requests",
    "Requests that a component works on.",
    MetricType::Gauge,
);
const INFLIGHT_BYTES: Described<'_> = (
    "pyroscope_inflight_request_bytes",
    "Bytes, as received and as decompressed, of the requests that a component works on.",
    MetricType::Gauge,
);
const LIMITS: Described<'_> = (
    "pyroscope_instance_limits",
    "Most requests and bytes that a component works on at once; 0 is no limit.",
    MetricType::Gauge,
);
const REFUSED: Described<'_> = (
    "pyroscope_instance_rejected_requests",
    "Requests that were refused because a limit of this instance was reached.",
    MetricType::Counter,
);

impl Collector for AdmissionMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut requests = Vec::new();
        let mut bytes = Vec::new();
        let mut limits = Vec::new();
        let mut refused = Vec::new();
        for (component, Admission { room, .. }) in &self.0 {
            let taken = *room.taken.lock();
            requests.push((vec![("component", *component)], taken.requests as f64));
            bytes.push((vec![("component", *component)], taken.bytes as f64));
            let limit = |limit| vec![("component", *component), ("limit", limit)];
            limits.push((limit("requests"), room.bounds.requests as f64));
            limits.push((limit("bytes"), room.bounds.bytes as f64));
            let reason = |reason| vec![("component", *component), ("reason", reason)];
            let Refused {
                for_requests,
                for_bytes,
            } = &room.refused;
            refused.push((reason("requests"), for_requests.load(Relaxed) as f64));
            refused.push((reason("bytes"), for_bytes.load(Relaxed) as f64));
        }
        encode(&mut encoder, INFLIGHT_REQUESTS, &requests)?;
        encode(&mut encoder, INFLIGHT_BYTES, &bytes)?;
        encode(&mut encoder, LIMITS, &limits)?;
        encode(&mut encoder, REFUSED, &refused)
    }
}

type Labelled = (Vec<(&'static str, &'static str)>, f64);

fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, kind): Described<'_>,
    values: &[Labelled],
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (labels, value) in values {
        let metric = family.encode_family(labels)?;
        match kind {
            MetricType::Counter => ConstCounter::new(*value).encode(metric)?,
            _ => ConstGauge::new(*value).encode(metric)?,
        }
    }
    Ok(())
}

async fn admit(State(admission): State<Admission>, request: Request, next: Next) -> Response {
    let protocol = Protocol::of(request.headers());
    let share = match admission.share() {
        Ok(share) => share,
        Err(status) => return protocol.refuse(&status),
    };
    let answer = next.run(metered(request, &share));
    match tokio::time::timeout(admission.timeout, answer).await {
        Ok(response) => response,
        Err(_) => {
            let text = format!("not done within {:?}", admission.timeout);
            protocol.refuse(&Status::deadline_exceeded(text))
        }
    }
}

/// Charges the body to `share` while it is read.
fn metered(request: Request, share: &Share) -> Request {
    let meter = share.clone();
    let mut request = request.map(|body| {
        Body::from_stream(body.into_data_stream().map(move |chunk| {
            let chunk =
                chunk.map_err(|error| Status::invalid_argument(format!("read body: {error}")))?;
            meter.take(chunk.len()).map(|()| chunk)
        }))
    });
    request.extensions_mut().insert(share.clone());
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(requests: usize, bytes: usize) -> Admission {
        let bytes = bytes + 2 * REQUEST_BYTES;
        Admission::new(Bounds { requests, bytes }, Duration::ZERO)
    }

    #[test]
    fn what_is_taken_is_given_back_with_the_request() {
        let admission = admission(0, 100);
        let first = admission.share().unwrap();
        first.take(60).unwrap();
        first.take(30).unwrap();
        let second = admission.share().unwrap();
        assert_eq!(
            second.take(11).unwrap_err().code(),
            tonic::Code::Unavailable
        );
        second.take(10).unwrap();
        drop(first.clone());
        assert!(second.take(1).is_err(), "a clone gives nothing back");
        drop(first);
        second.take(90).unwrap();
    }

    #[test]
    fn a_request_that_is_alone_may_take_more() {
        let admission = admission(0, 100);
        let first = admission.share().unwrap();
        first.take(1 << 30).unwrap();
        assert!(admission.share().is_err());
        drop(first);
        let second = admission.share().unwrap();
        second.take(100).unwrap();
    }

    #[test]
    fn more_requests_than_allowed_are_refused() {
        let admission = admission(2, 100);
        let open = [admission.share().unwrap(), admission.share().unwrap()];
        assert!(admission.share().is_err());
        drop(open);
        admission.share().unwrap();
        let refused = &admission.room.refused;
        assert_eq!(refused.for_requests.load(Relaxed), 1);
        assert_eq!(admission.room.taken.lock().requests, 0);
    }
}
