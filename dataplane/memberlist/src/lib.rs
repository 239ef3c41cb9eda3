//! Cluster membership in the protocol of memberlist: SWIM as a state machine, and its wire format.
//!
//! A [`Machine`] is one node. It finds out who else is there and who is not any more, and spreads small messages to
//! all. It has no sockets, no clock and no randomness of its own: its driver hands it packets, the time and a seed,
//! and does what [`Machine::poll_output`] asks.
//!
//! ```text
//! driver ── handle_packet, handle_push_pull, handle_timeout ──▶ Machine ── poll_output ──▶ driver
//! ```
//!
//! It speaks with Go nodes in two [dialects](Dialect): that of grafana/dskit ([`Config::new`]), and that of
//! hashicorp/memberlist ([`Config::lan`] and its siblings), each with labels, compression and, with a [`Keyring`],
//! encryption. `ALGORITHM.md` beside this crate says how it works and where it differs from Go on purpose.
//!
//! # What a user gets
//!
//! | hashicorp/memberlist | here |
//! |---|---|
//! | `Create`, `Join` | [`Machine::new`], [`Machine::push_pull_request`] to a seed |
//! | `Members`, `LocalNode`, `NumMembers` | [`Machine::members`], [`Machine::local`], [`Machine::alive_count`] |
//! | `UpdateNode`, `Leave` | [`Machine::update_meta`], [`Machine::leave`] |
//! | `SendBestEffort`, `SendReliable` | [`Machine::send_best_effort`], [`Machine::user_stream`] |
//! | `QueueBroadcast` | [`Machine::broadcast`] |
//! | `EventDelegate`, `ConflictDelegate`, `PingDelegate` | [`Event`], [`Machine::set_ack_payload`] |
//! | `AliveDelegate`, `MergeDelegate` | [`Policy`] |
//! | `Delegate` (user messages and state) | [`Output::UserMessage`], [`PushPull::user_state`] |
//! | `Keyring` | [`Keyring`], [`Nonces`] |
//!
//! # Driving it
//!
//! After each call, do what [`Machine::poll_output`] asks and wake up at [`Machine::next_timeout`], or at once if that
//! has passed. Here two nodes meet, without a network:
//!
//! ```
//! use std::time::Duration;
//!
//! use pyroscope_memberlist::{
//!     Address, Config, ConfigError, Event, Machine, Output, StreamMessage, Timestamp,
//! };
//!
//! let now = Timestamp::from_duration(Duration::from_secs(1));
//! let node = |name: &str, host, seed| {
//!     let address = Address::v4([10, 0, 0, host], 7946);
//!     Machine::new(Config::new(name, address), seed, now)
//! };
//! let (mut ann, mut bob) = (node("ann", 1, 17)?, node("bob", 2, 99)?);
//!
//! // Bob joins: he opens a stream to Ann, who reads it, answers and merges.
//! let request = bob.push_pull_request(true, b"bob's state");
//! let Ok(Some(StreamMessage::PushPull(state))) = ann.request_reader().feed(&request) else {
//!     panic!("the stream is cut short");
//! };
//! let response = ann.push_pull_response(state.join, b"ann's state");
//! assert!(ann.handle_push_pull(now, &state).is_ok());
//! assert_eq!(state.user_state, "bob's state");
//!
//! // Bob does the same with the answer.
//! let Ok(Some(StreamMessage::PushPull(state))) = bob.response_reader().feed(&response) else {
//!     panic!("the stream is cut short");
//! };
//! assert!(bob.handle_push_pull(now, &state).is_ok());
//! assert!(matches!(bob.poll_output(), Some(Output::Event(Event::Joined(node))) if *node.name == *"ann"));
//!
//! // From now on timers and packets do the rest.
//! let mut now = now;
//! for _ in 0..100 {
//!     now = now.max(ann.next_timeout());
//!     ann.handle_timeout(now);
//!     while let Some(output) = ann.poll_output() {
//!         if let Output::Packet { payload, .. } = output {
//!             let _logged = bob.handle_packet(now, "10.0.0.1:7946", &payload);
//!         }
//!     }
//!     while let Some(output) = bob.poll_output() {
//!         if let Output::Packet { payload, .. } = output {
//!             let _logged = ann.handle_packet(now, "10.0.0.2:7946", &payload);
//!         }
//!     }
//! }
//! assert_eq!((ann.alive_count(), bob.alive_count()), (2, 2));
//! # Ok::<(), ConfigError>(())
//! ```
//!
//! # Limits
//!
//! All input is that of strangers: nothing panics on it, and nothing is allocated because a length is announced. What
//! is refused leaves the machine as it was; [`WireError::kind`] counts refusals. Timeouts of streams, limits of
//! connections and of bytes that are read at the same time are the driver's.

#![warn(missing_docs)]

mod address;
mod broadcast;
mod compress;
mod config;
mod encryption;
mod error;
pub mod frame;
mod label;
mod lzw;
mod machine;
mod message;
mod msgpack;
mod node;
mod nonces;
mod output;
pub mod packet;
mod policy;
mod push_pull;
mod rng;
mod stream;
mod suspicion;
mod time;
mod zone;

pub use address::{Address, IpBytes};
pub use broadcast::{Broadcast, Origin};
pub use config::{Compression, Config, Dialect, MAX_ACK_PAYLOAD, MAX_LABEL, MAX_META, MAX_NAME};
pub use encryption::{EncryptionVersion, Keyring, NONCE};
pub use error::{ConfigError, KeyError, PushPullRejected, WireError};
pub use machine::{Machine, Merged};
pub use message::{Accusation, Ack, Alive, IndirectPing, Message, Ping};
pub use node::{Node, NodeState, Versions};
pub use nonces::Nonces;
pub use output::{Event, Output};
pub use policy::Policy;
pub use push_pull::{MAX_NODES, MAX_USER_STATE, PushPull, PushPullNode};
pub use stream::{MAX_STREAM, StreamMessage, StreamReader};
pub use time::Timestamp;
pub use zone::{Role, Zone};
