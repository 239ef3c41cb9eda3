//! Cluster membership in the protocol of memberlist: SWIM as a state machine, and its wire format.
//!
//! A [`Machine`] has no sockets, no clock and no randomness of its own. Its driver hands it packets, the time
//! and a seed, and does what [`Machine::poll_output`] asks. The dialect is that of grafana/dskit: packets and
//! streams over TCP, LZW or snappy compression, cluster labels; classic packets decode as well. Encryption is
//! recognised and refused.
//!
//! ```text
//! driver ── handle_packet, handle_push_pull, handle_timeout ──▶ Machine ── poll_output ──▶ driver
//! ```

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
