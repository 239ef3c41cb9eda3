//! Bounds what all requests of a process take together: bytes and time.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use futures::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use crate::rpc::{is_grpc, refuse};

/// What a request is charged before its body is read, in bytes.
const REQUEST_BYTES: usize = 16 << 10;

/// Admits requests while there is room for them; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    room: Arc<Semaphore>,
    timeout: Duration,
}

impl Admission {
    /// Creates a bound of `bytes` for the bodies of all open requests, as
    /// received and as decompressed, and of `timeout` for each request.
    pub(crate) fn new(bytes: usize, timeout: Duration) -> Self {
        Self {
            room: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))),
            timeout,
        }
    }

    /// Applies the bound to every route of `router`.
    pub(crate) fn guard(&self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(self.clone(), admit))
    }

    fn share(&self) -> Share {
        Share {
            room: Arc::clone(&self.room),
            taken: Arc::default(),
        }
    }
}

/// The room that one request takes, given back with the last clone.
///
/// Handlers find it among the extensions of their request.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    room: Arc<Semaphore>,
    taken: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Share {
    /// Takes room for more bytes.
    ///
    /// # Errors
    ///
    /// `unavailable` when all room is taken: waiting for it could be waiting
    /// for requests that wait as well.
    pub(crate) fn take(&self, bytes: usize) -> Result<(), Status> {
        let more = u32::try_from(bytes)
            .ok()
            .and_then(|bytes| Arc::clone(&self.room).try_acquire_many_owned(bytes).ok())
            .ok_or_else(|| {
                Status::unavailable("too many bytes of requests are in flight; try again later")
            })?;
        let mut taken = self.taken.lock();
        match &mut *taken {
            Some(taken) => taken.merge(more),
            None => *taken = Some(more),
        }
        Ok(())
    }
}

async fn admit(State(admission): State<Admission>, request: Request, next: Next) -> Response {
    let grpc = is_grpc(request.headers());
    let share = admission.share();
    if let Err(status) = share.take(REQUEST_BYTES) {
        return refuse(grpc, &status);
    }
    let answer = next.run(metered(request, &share));
    match tokio::time::timeout(admission.timeout, answer).await {
        Ok(response) => response,
        Err(_) => {
            let text = format!("not done within {:?}", admission.timeout);
            refuse(grpc, &Status::deadline_exceeded(text))
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

    #[test]
    fn what_is_taken_is_given_back_with_the_request() {
        let admission = Admission::new(100, Duration::ZERO);
        let first = admission.share();
        first.take(60).unwrap();
        first.take(30).unwrap();
        let second = admission.share();
        assert_eq!(
            second.take(11).unwrap_err().code(),
            tonic::Code::Unavailable
        );
        second.take(10).unwrap();
        drop(first);
        second.take(90).unwrap();
        assert!(second.take(usize::MAX).is_err());
    }
}
