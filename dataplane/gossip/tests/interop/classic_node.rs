//! Nodes of the classic dialect: this implementation as a library, and the original.

use std::sync::Arc;

use bytes::Bytes;
use prometheus_client::registry::Registry;
use pyroscope_gossip::{Config, Delegate, Dialect, Listeners, Member, MemberState, Memberlist};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::mixed;
use crate::peer::Peer;
use crate::support::{PATIENCE, alive, state_of};

/// A node of this implementation, with what it has heard.
pub(crate) struct Classic {
    pub(crate) list: Memberlist,
    heard: watch::Receiver<Heard>,
}

/// What peers have said to the application.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) messages: Vec<Bytes>,
    pub(crate) states: Vec<Bytes>,
}

/// An application that remembers everything.
struct Listener {
    heard: watch::Sender<Heard>,
    state: Bytes,
}

impl Delegate for Listener {
    fn message(&self, message: Bytes) {
        self.heard.send_modify(|heard| heard.messages.push(message));
    }

    fn local_state(&self, _: bool) -> Bytes {
        self.state.clone()
    }

    fn merge_state(&self, state: Bytes, _: bool) {
        self.heard.send_modify(|heard| heard.states.push(state));
    }
}

/// Settings of the classic dialect, with the periods of the Go peers.
pub(crate) fn config(name: &str) -> Config {
    Config {
        dialect: Dialect::Classic,
        randomize_node_name: false,
        ..mixed::quick(name)
    }
}

impl Classic {
    /// Starts a node that hands out `state`.
    pub(crate) async fn start_with(config: Config, state: &str) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let listeners = Listeners::bind(&[any], Dialect::Classic).await.unwrap();
        let (sender, heard) = watch::channel(Heard::default());
        let listener = Listener {
            heard: sender,
            state: Bytes::from(state.to_owned()),
        };
        let mut registry = Registry::default();
        let seed = rand::random();
        let list = Memberlist::create(config, listeners, Arc::new(listener), &mut registry, seed);
        Self {
            list: list.await.unwrap(),
            heard,
        }
    }

    pub(crate) async fn start(config: Config) -> Self {
        Self::start_with(config, "").await
    }

    /// Joins a node of either kind.
    pub(crate) async fn join(&self, address: &str) {
        let joined = self.list.join(&[address.to_owned()]).await;
        assert_eq!(joined.unwrap(), 1);
    }

    pub(crate) fn address(&self) -> String {
        self.list.advertised().to_string()
    }

    /// Waits until the members satisfy `condition`.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&[Member]) -> bool) {
        let mut members = self.list.watch_members();
        let waiting = members.wait_for(|members| condition(members));
        if timeout(PATIENCE, waiting).await.is_err() {
            let name = self.list.local_name();
            panic!(
                "{name} waited in vain for {what}; last: {:#?}",
                self.list.members()
            );
        }
    }

    pub(crate) async fn until_alive(&self, count: usize) {
        let what = format!("{count} members alive");
        self.until(&what, |members| alive(members) == count).await;
    }

    pub(crate) async fn until_state(&self, name: &str, state: MemberState) {
        let what = format!("{name} to be {state}");
        self.until(&what, |members| state_of(members, name) == Some(state))
            .await;
    }

    /// Waits until the application has heard what satisfies `condition`.
    pub(crate) async fn until_heard(&self, what: &str, condition: impl Fn(&Heard) -> bool) {
        let mut heard = self.heard.clone();
        let waiting = heard.wait_for(|heard| condition(heard));
        if timeout(PATIENCE, waiting).await.is_err() {
            panic!(
                "waited in vain for {what}; heard: {:?}",
                *self.heard.borrow()
            );
        }
    }

    pub(crate) async fn until_message(&self, text: &str) {
        self.until_heard(text, |heard| {
            heard
                .messages
                .iter()
                .any(|message| message == text.as_bytes())
        })
        .await;
    }
}

/// Starts an original that joins `seed`.
pub(crate) async fn original(name: &str, seed: &str, more: &[&str]) -> Peer {
    let (name, join) = (format!("-name={name}"), format!("-join={seed}"));
    Peer::classic(&[&[name.as_str(), join.as_str()], more].concat()).await
}

/// Waits until an original has heard a message.
pub(crate) async fn until_message(peer: &Peer, text: &str) {
    peer.until(text, |seen| {
        seen.messages.iter().any(|message| message == text)
    })
    .await;
}
