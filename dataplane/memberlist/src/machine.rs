//! The state machine.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::broadcast::{Broadcast, BroadcastQueue, Origin};
use crate::compress;
use crate::config::{Config, MAX_META};
use crate::error::{ConfigError, PushPullRejected, WireError};
use crate::label::LabelPolicy;
use crate::message::{Ack, Message, Ping};
use crate::node::{Node, NodeState, Versions};
use crate::output::Output;
use crate::push_pull::{PushPull, PushPullNode};
use crate::stream::StreamReader;
use crate::time::Timestamp;

/// The membership of one node.
#[derive(Debug)]
pub struct Machine {
    config: Config,
    label: LabelPolicy,
    name: Arc<str>,
    nodes: BTreeMap<Arc<str>, Node>,
    outputs: VecDeque<Output>,
    local_broadcasts: BroadcastQueue,
    forwarded_broadcasts: BroadcastQueue,
    leaving: bool,
}

impl Machine {
    /// Creates a machine that knows only itself.
    ///
    /// # Errors
    /// If the configuration cannot work.
    pub fn new(config: Config, _seed: u64, now: Timestamp) -> Result<Self, ConfigError> {
        config.validate()?;
        let name: Arc<str> = config.name.as_str().into();
        let local = Node {
            name: Arc::clone(&name),
            address: config.advertise,
            meta: Bytes::from(config.meta.clone()),
            incarnation: 1,
            state: NodeState::Alive,
            state_change: now,
            versions: Versions::CURRENT,
        };
        Ok(Self {
            label: LabelPolicy {
                label: config.label.clone(),
                verify: config.verify_label,
            },
            nodes: BTreeMap::from([(Arc::clone(&name), local)]),
            name,
            outputs: VecDeque::new(),
            local_broadcasts: BroadcastQueue::new(config.max_queued_broadcasts),
            forwarded_broadcasts: BroadcastQueue::new(config.max_queued_broadcasts),
            leaving: false,
            config,
        })
    }

    /// Takes a packet that arrived from `from` ("ip:port"), without its transport frame.
    ///
    /// # Errors
    /// If something in it cannot be used. The rest of it was; log and count.
    pub fn handle_packet(
        &mut self,
        _now: Timestamp,
        _from: &str,
        payload: &[u8],
    ) -> Result<(), WireError> {
        let packet = self.label.strip(payload)?;
        let (messages, error) = crate::packet::decode(packet);
        for message in messages {
            if let Message::User(payload) = message {
                self.outputs.push_back(Output::UserMessage(payload));
            }
        }
        error.map_or(Ok(()), Err)
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, _now: Timestamp) {}

    /// Returns when [`Self::handle_timeout`] must be called next; it may change with every call.
    pub fn next_timeout(&self) -> Timestamp {
        Timestamp::MAX
    }

    /// Returns the next thing to do, in order. Call it until there is none after each other call.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Encodes what the opener of a push/pull sends, after the transport's stream prefix.
    pub fn push_pull_request(&self, join: bool, user_state: &[u8]) -> Vec<u8> {
        let mut stream = self.label.header();
        stream.extend_from_slice(&self.push_pull_response(join, user_state));
        stream
    }

    /// Encodes the answer to a push/pull; `join` repeats that of the request.
    pub fn push_pull_response(&self, join: bool, user_state: &[u8]) -> Vec<u8> {
        let state = PushPull {
            join,
            nodes: self.nodes.values().map(PushPullNode::from).collect(),
            user_state: Bytes::copy_from_slice(user_state),
        }
        .encode();
        self.config
            .compression
            .and_then(|algorithm| compress::shrink(algorithm, &state))
            .unwrap_or(state)
    }

    /// Creates a reader for a stream that another node opened.
    pub fn request_reader(&self) -> StreamReader {
        StreamReader::request(self.label.clone())
    }

    /// Creates a reader for the answer on a stream that this node opened.
    pub fn response_reader(&self) -> StreamReader {
        StreamReader::response()
    }

    /// Merges the other side's state, after this side's was sent.
    ///
    /// # Errors
    /// If some node could not speak to all others. Nothing was merged, and the user state must not be either.
    pub fn handle_push_pull(
        &mut self,
        _now: Timestamp,
        _remote: &PushPull,
    ) -> Result<(), PushPullRejected> {
        Ok(())
    }

    /// Returns the answer to a ping that came on a stream, or `None` if it is for another node.
    pub fn stream_ping_reply(&self, ping: &Ping) -> Option<Vec<u8>> {
        let for_me = ping.node.is_empty() || ping.node == *self.name;
        let ack = Ack {
            seq_no: ping.seq_no,
            payload: None,
        };
        for_me.then(|| Message::Ack(ack).encode())
    }

    /// Queues an update of the driver's state for gossip.
    pub fn broadcast(&mut self, origin: Origin, broadcast: Broadcast) {
        match origin {
            Origin::Local => self.local_broadcasts.push(broadcast),
            Origin::Forwarded => self.forwarded_broadcasts.push(broadcast),
        }
    }

    /// Returns how many updates of `origin` were not yet sent often enough.
    pub fn queued_broadcasts(&self, origin: Origin) -> usize {
        match origin {
            Origin::Local => self.local_broadcasts.len(),
            Origin::Forwarded => self.forwarded_broadcasts.len(),
        }
    }

    /// Replaces this node's metadata and announces it.
    ///
    /// # Errors
    /// If it is longer than [`MAX_META`] bytes.
    pub fn update_meta(&mut self, _now: Timestamp, meta: Vec<u8>) -> Result<(), ConfigError> {
        if meta.len() > MAX_META {
            return Err(ConfigError {
                field: "meta",
                reason: "must have at most 512 bytes",
            });
        }
        Ok(())
    }

    /// Announces that this node leaves; keep driving it until [`Self::has_left`].
    pub fn leave(&mut self, _now: Timestamp) {
        self.leaving = true;
    }

    /// Tells whether the others were told that this node leaves, as often as needed, or there are none.
    pub fn has_left(&self) -> bool {
        self.leaving
    }

    /// Returns every node known, in every state, this one included, ordered by name.
    pub fn members(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// Returns what is known of a node.
    pub fn member(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// Returns this node's own record.
    pub fn local(&self) -> &Node {
        &self.nodes[&self.name]
    }

    /// Counts the nodes that are alive or merely suspected, this one included.
    pub fn alive_count(&self) -> usize {
        self.members().filter(|node| node.state.is_member()).count()
    }

    /// Returns how badly this node itself seems to be doing: 0 is healthy.
    pub fn health_score(&self) -> u32 {
        0
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }
}
