//! What an application adds to membership.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use memberlist::{Broadcast, Origin, Policy};
use tokio::sync::Notify;

use crate::Member;

/// The application behind a [`Memberlist`](crate::Memberlist): it receives
/// messages, has a state that nodes exchange in full, and hears of members.
///
/// Every method has a default, which does nothing. All are called from the one
/// task of the node, so they answer at once; what takes time belongs into a
/// task of its own.
pub trait Delegate: Send + Sync + 'static {
    /// Takes a user message: a broadcast, or one for this node alone.
    fn message(&self, message: Bytes) {
        let _ = message;
    }

    /// Returns the whole state of the application, for a peer. `join` says
    /// that one of the two has just come.
    fn local_state(&self, join: bool) -> Bytes {
        let _ = join;
        Bytes::new()
    }

    /// Takes the whole state of a peer's application.
    fn merge_state(&self, state: Bytes, join: bool) {
        let _ = (state, join);
    }

    /// Hears what became of members.
    fn event(&self, event: &MemberEvent) {
        let _ = event;
    }

    /// Returns whom to accept as members. Asked once, at the start; `None`
    /// accepts all.
    fn policy(&self) -> Option<Box<dyn Policy>> {
        None
    }

    /// Returns the lowest, the highest and the present version of the
    /// application's messages, which all nodes of a cluster must have in
    /// common. Asked once, at the start.
    fn versions(&self) -> [u8; 3] {
        [0; 3]
    }

    /// Returns what the node is to do for the application. Asked after each of
    /// the calls above and when [`Self::waker`] is notified.
    fn take_requests(&self) -> Vec<Request> {
        Vec::new()
    }

    /// Returns what is notified when requests have come up by themselves.
    /// Asked once, at the start.
    fn waker(&self) -> Option<Arc<Notify>> {
        None
    }

    /// Does what is due about once a second.
    fn tick(&self) {}

    /// Hears that the node is about to leave: what is requested from now on
    /// reaches nobody.
    fn leaving(&self) {}
}

/// Nothing but membership.
impl Delegate for () {}

/// What an application asks of its node.
#[derive(Clone, Debug)]
pub enum Request {
    /// Spread a message: one of this node, or one that came from a peer and
    /// was news.
    Broadcast(Origin, Broadcast),
    /// Exchange full states with some node soon. Not done more often than
    /// every ten seconds.
    PushPull,
}

/// What became of a member, or was learned about it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MemberEvent {
    /// It is new, or back.
    Joined(Member),
    /// Its metadata changed.
    Updated(Member),
    /// It does not answer; it can still object.
    Suspected(Member),
    /// It did not object in time.
    Dead(Member),
    /// It said goodbye.
    Left(Member),
    /// A node claims a name that is another one's; the claim is ignored.
    Conflict {
        /// The name.
        name: String,
        /// The address that has it.
        known: SocketAddr,
        /// The address that claims it.
        offered: SocketAddr,
    },
    /// It answered a ping.
    Answered {
        /// Its name.
        name: String,
        /// The time between ping and answer.
        round_trip: Duration,
        /// What its application adds to answers.
        payload: Bytes,
    },
}
