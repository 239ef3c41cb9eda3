//! Work that is finished although nobody waits for it any more.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// A future that runs where it is awaited, which spares the way to a task of its
/// own and back, and that goes on in such a task once it is dropped.
///
/// A push needs this: a client that goes away must not leave a profile in the
/// log that the head does not show, or some replicas without it.
#[derive(Debug)]
pub struct Finishing<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    /// `None` once it has ended.
    future: Option<Pin<Box<F>>>,
}

impl<F> Finishing<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    /// Wraps a future. Dropped outside a runtime, or in one that shuts down, it
    /// ends as any task there does.
    pub fn new(future: F) -> Self {
        Self {
            future: Some(Box::pin(future)),
        }
    }
}

impl<F> Future for Finishing<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(future) = &mut self.future else {
            // As other futures that are polled after their end.
            return Poll::Pending;
        };
        let polled = future.as_mut().poll(context);
        if polled.is_ready() {
            self.future = None;
        }
        polled
    }
}

impl<F> Drop for Finishing<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn drop(&mut self) {
        if let Some(future) = self.future.take()
            && let Ok(runtime) = Handle::try_current()
        {
            // The task goes on without its handle.
            drop(runtime.spawn(future));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_ends_whether_or_not_it_is_awaited() {
        for waits in [true, false] {
            let (go, gone) = oneshot::channel::<()>();
            let (ended, end) = oneshot::channel();
            let mut work = Finishing::new(async move {
                let went = gone.await;
                let _ = ended.send(());
                went.is_ok()
            });
            let early = tokio::time::timeout(Duration::from_millis(1), &mut work).await;
            assert!(early.is_err(), "it has not ended");
            go.send(()).unwrap();
            if waits {
                assert!(work.await);
            } else {
                drop(work);
            }
            end.await.unwrap();
        }
    }

    #[test]
    fn outside_a_runtime_it_just_ends() {
        drop(Finishing::new(std::future::pending::<()>()));
    }
}
