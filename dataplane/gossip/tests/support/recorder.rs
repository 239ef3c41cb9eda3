//! Nodes of the library, whose application writes down what it is told.

#![allow(dead_code)] // Each test program uses its part.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use pyroscope_gossip::{
    Broadcast, Config, Delegate, Dialect, Listeners, MemberEvent, Memberlist, Node, Origin, Policy,
    Request,
};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::support::PATIENCE;

/// A node, its application and its metrics.
pub(crate) struct Recorded {
    pub(crate) node: Memberlist,
    pub(crate) application: Arc<Recorder>,
    registry: Registry,
}

/// An application with a set of words as its state.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) state: Mutex<BTreeSet<String>>,
    pub(crate) messages: Mutex<Vec<Bytes>>,
    pub(crate) events: Mutex<Vec<String>>,
    pub(crate) answers: Mutex<Vec<Bytes>>,
    /// Messages that are to be passed on.
    pub(crate) news: Mutex<Vec<Bytes>>,
    /// Name that is not accepted as a member.
    pub(crate) unwanted: Option<String>,
    /// Notified when something was written down.
    pub(crate) told: Notify,
}

impl Recorder {
    fn write<T>(&self, list: &Mutex<Vec<T>>, entry: T) {
        list.lock().push(entry);
        self.told.notify_waiters();
    }

    /// Waits until what is written down satisfies `condition`.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let waiting = async {
            loop {
                let told = self.told.notified();
                if condition(self) {
                    return;
                }
                told.await;
            }
        };
        if timeout(PATIENCE, waiting).await.is_err() {
            panic!("waited in vain for {what}: {self:#?}");
        }
    }

    pub(crate) async fn until_event(&self, event: &str) {
        self.until(event, |seen| seen.events.lock().iter().any(|e| e == event))
            .await;
    }

    pub(crate) async fn until_message(&self, message: &'static [u8]) {
        let heard = |seen: &Self| seen.messages.lock().iter().any(|m| m == message);
        self.until("a message", heard).await;
    }
}

impl Delegate for Recorder {
    fn message(&self, message: Bytes) {
        if !self.messages.lock().contains(&message) {
            self.news.lock().push(message.clone());
        }
        self.write(&self.messages, message);
    }

    fn take_requests(&self) -> Vec<Request> {
        let news = std::mem::take(&mut *self.news.lock());
        let broadcast = |message: Bytes| {
            let key = message.escape_ascii().to_string();
            Request::Broadcast(Origin::Forwarded, Broadcast::new(key, ["id"], 1, message))
        };
        news.into_iter().map(broadcast).collect()
    }

    fn local_state(&self, _join: bool) -> Bytes {
        let words: Vec<String> = self.state.lock().iter().cloned().collect();
        words.join(" ").into()
    }

    fn merge_state(&self, state: Bytes, _join: bool) {
        let words = String::from_utf8(state.to_vec()).unwrap();
        let words = words.split_whitespace().map(str::to_owned);
        self.state.lock().extend(words);
        self.told.notify_waiters();
    }

    fn event(&self, event: &MemberEvent) {
        let text = match event {
            MemberEvent::Joined(member) => format!("joined {}", member.name),
            MemberEvent::Updated(member) => {
                format!("updated {} {}", member.name, member.meta.escape_ascii())
            }
            MemberEvent::Suspected(member) => format!("suspected {}", member.name),
            MemberEvent::Dead(member) => format!("dead {}", member.name),
            MemberEvent::Left(member) => format!("left {}", member.name),
            MemberEvent::Conflict { name, .. } => format!("conflict {name}"),
            MemberEvent::Answered { payload, .. } => {
                return self.write(&self.answers, payload.clone());
            }
            other => panic!("unknown {other:?}"),
        };
        self.write(&self.events, text);
    }

    fn policy(&self) -> Option<Box<dyn Policy>> {
        self.unwanted
            .clone()
            .map(|name| Box::new(Unwanted(name)) as _)
    }
}

#[derive(Debug)]
struct Unwanted(String);

impl Policy for Unwanted {
    fn merge(&self, nodes: &[Node]) -> Result<(), String> {
        match nodes.iter().any(|node| *node.name == *self.0) {
            true => Err(format!("{} is not wanted", self.0)),
            false => Ok(()),
        }
    }
}

/// Settings of a classic node with short periods.
pub(crate) fn classic(name: &str) -> Config {
    Config {
        node_name: name.to_owned(),
        gossip_interval: Duration::from_millis(20),
        probe_interval: Duration::from_millis(200),
        probe_timeout: Duration::from_millis(100),
        push_pull_interval: Duration::from_secs(1),
        ..Config::lan()
    }
}

pub(crate) async fn create(config: Config) -> Recorded {
    create_as(config, Recorder::default()).await
}

pub(crate) async fn create_as(config: Config, recorder: Recorder) -> Recorded {
    let address = "127.0.0.1:0".parse().unwrap();
    create_on(config, recorder, address).await.unwrap()
}

pub(crate) async fn create_on(
    config: Config,
    recorder: Recorder,
    address: SocketAddr,
) -> Result<Recorded, pyroscope_gossip::GossipError> {
    static SEED: AtomicU64 = AtomicU64::new(1);
    let seed = SEED.fetch_add(1, Ordering::Relaxed);
    let listeners = Listeners::bind(&[address], config.dialect).await.unwrap();
    let application = Arc::new(recorder);
    let mut registry = Registry::default();
    let delegate = Arc::clone(&application);
    let node = Memberlist::create(config, listeners, delegate, &mut registry, seed).await?;
    Ok(Recorded {
        node,
        application,
        registry,
    })
}

impl Recorded {
    pub(crate) async fn join(&self, other: &Self) {
        let address = other.node.advertised().to_string();
        assert_eq!(self.node.join(&[address]).await.unwrap(), 1);
    }

    /// Waits until this many members are present.
    pub(crate) async fn until_present(&self, count: usize) {
        let mut members = self.node.watch_members();
        let present = members.wait_for(|members| {
            members.iter().filter(|member| member.is_present()).count() == count
        });
        timeout(PATIENCE, present).await.unwrap().unwrap();
    }

    /// Returns how often something was refused for this reason.
    pub(crate) fn refused(&self, reason: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let name = format!("pyroscope_memberlist_refused_total{{reason=\"{reason}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until something was refused for this reason.
    pub(crate) async fn until_refused(&self, reason: &str, count: u64) {
        let waiting = async {
            while self.refused(reason) < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "{reason}: {}", self.refused(reason));
    }
}

/// Both dialects, for what must be the same in them.
pub(crate) fn both(name: &str) -> [Config; 2] {
    let dskit = Config {
        dialect: Dialect::Dskit,
        ..classic(name)
    };
    [classic(name), dskit]
}
