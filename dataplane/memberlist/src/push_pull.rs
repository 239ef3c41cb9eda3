//! The full state exchange: `06 | header | node states | user state`.

use std::borrow::Cow;

use bytes::Bytes;

use crate::error::WireError;
use crate::message::kind;
use crate::msgpack::{Reader, Writer};
use crate::node::Node;

/// Most node states in one push/pull.
///
/// Go takes eight times as many, but a record may be a single byte, more than a hundred when it is decoded, and many
/// streams are read at the same time.
pub const MAX_NODES: usize = 131_072;
/// Most bytes of user state in one push/pull.
pub const MAX_USER_STATE: usize = 20 * 1024 * 1024;

/// One side's state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PushPull {
    /// Whether the opener joins the cluster; the answer repeats it.
    pub join: bool,
    /// The nodes known.
    pub nodes: Vec<PushPullNode>,
    /// The driver's state, opaque here.
    pub user_state: Bytes,
}

/// One node's record in a push/pull.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PushPullNode {
    /// The node's name.
    pub name: String,
    /// Its IP address, in wire form.
    pub addr: Vec<u8>,
    /// Its port; 0 means that of the receiver.
    pub port: u16,
    /// Its metadata; `None` and empty mean the same and differ on the wire.
    pub meta: Option<Vec<u8>>,
    /// The incarnation that `state` is about.
    pub incarnation: u32,
    /// The state's number, see [`crate::NodeState::from_wire`].
    pub state: i64,
    /// Its versions, six bytes. Never send fewer: it kills Go peers.
    pub vsn: Option<Vec<u8>>,
}

/// The fixed part of a push/pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) join: bool,
    pub(crate) nodes: usize,
    pub(crate) user_state: usize,
}

impl PushPull {
    /// Encodes the message, its type byte included.
    pub fn encode(&self) -> Vec<u8> {
        encode(self.join, self.nodes.iter(), &self.user_state)
    }

    pub(crate) fn held_bytes(&self) -> usize {
        let records = self.nodes.iter().map(PushPullNode::held_bytes);
        self.user_state.len() + records.sum::<usize>()
    }
}

/// Encodes a push/pull without collecting its records first.
pub(crate) fn encode<'a, R: Into<Record<'a>>>(
    join: bool,
    nodes: impl ExactSizeIterator<Item = R>,
    user_state: &[u8],
) -> Vec<u8> {
    /// About as much as a record takes.
    const RECORD: usize = 128;
    let mut out = Header {
        join,
        nodes: nodes.len(),
        user_state: user_state.len(),
    }
    .encode();
    out.reserve(RECORD * nodes.len() + user_state.len());
    for node in nodes {
        node.into().encode(&mut out);
    }
    out.extend_from_slice(user_state);
    out
}

impl Header {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = Writer::message(kind::PUSH_PULL, 3);
        out.bool("Join", self.join);
        out.int("Nodes", self.nodes as i64);
        out.int("UserStateLen", self.user_state as i64);
        out.finish()
    }

    /// Decodes what follows the type byte and refuses what is over the limits.
    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut join = false;
        let mut nodes = 0i64;
        let mut user_state = 0i64;
        body.map("push/pull header", |key, value| {
            match key {
                b"Join" => join = value.bool()?,
                b"Nodes" => nodes = value.uint()?,
                b"UserStateLen" => user_state = value.uint()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self {
            join,
            nodes: within("push/pull nodes", nodes, MAX_NODES)?,
            user_state: within("user state", user_state, MAX_USER_STATE)?,
        })
    }
}

/// Checks an announced count.
pub(crate) fn within(what: &'static str, count: i64, limit: usize) -> Result<usize, WireError> {
    let Ok(size) = u64::try_from(count) else {
        return Err(WireError::Malformed {
            what,
            reason: "negative count",
        });
    };
    match usize::try_from(size) {
        Ok(count) if count <= limit => Ok(count),
        _ => Err(WireError::TooLarge {
            what,
            size,
            limit: limit as u64,
        }),
    }
}

impl PushPullNode {
    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut node = Self::default();
        body.map("node state", |key, value| {
            match key {
                b"Addr" => node.addr = value.raw()?.unwrap_or_default(),
                b"Incarnation" => node.incarnation = value.uint()?,
                b"Meta" => node.meta = value.raw()?,
                b"Name" => node.name = text_or_empty(value.slice()?),
                b"Port" => node.port = value.uint()?,
                b"State" => node.state = value.uint()?,
                b"Vsn" => node.vsn = value.raw()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(node)
    }

    fn held_bytes(&self) -> usize {
        let optional = [&self.meta, &self.vsn].into_iter().flatten();
        let bytes = self.name.len() + self.addr.len() + optional.map(Vec::len).sum::<usize>();
        size_of::<Self>() + bytes
    }
}

/// Reads a name. Go takes any bytes for one and gossips them on; an empty one is skipped by the merge, whereas an error
/// would cost the whole exchange.
fn text_or_empty(bytes: Option<&[u8]>) -> String {
    let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.unwrap_or_default().to_owned()
}

/// What is sent of a node.
pub(crate) struct Record<'a> {
    name: &'a str,
    addr: &'a [u8],
    port: u16,
    meta: Option<&'a [u8]>,
    incarnation: u32,
    state: i64,
    vsn: Option<Cow<'a, [u8]>>,
}

impl Record<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::append(std::mem::take(out), 7);
        writer.raw("Addr", self.addr);
        writer.uint("Incarnation", self.incarnation);
        writer.raw_or_nil("Meta", self.meta);
        writer.raw("Name", self.name.as_bytes());
        writer.uint("Port", u32::from(self.port));
        writer.int("State", self.state);
        writer.raw_or_nil("Vsn", self.vsn.as_deref());
        *out = writer.finish();
    }
}

impl<'a> From<&'a PushPullNode> for Record<'a> {
    fn from(node: &'a PushPullNode) -> Self {
        Self {
            name: &node.name,
            addr: &node.addr,
            port: node.port,
            meta: node.meta.as_deref(),
            incarnation: node.incarnation,
            state: node.state,
            vsn: node.vsn.as_deref().map(Cow::Borrowed),
        }
    }
}

impl<'a> From<&'a Node> for Record<'a> {
    fn from(node: &'a Node) -> Self {
        Self {
            name: &node.name,
            addr: node.address.ip.as_bytes(),
            port: node.address.port,
            meta: (!node.meta.is_empty()).then_some(&node.meta),
            incarnation: node.incarnation,
            state: node.state.to_wire(),
            vsn: Some(Cow::Owned(node.versions.to_bytes().to_vec())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msgpack::vectors;

    #[test]
    fn headers_are_written_and_read_as_in_go() {
        let vectors = vectors("pushPullHeader/");
        assert_eq!(vectors.len(), 11);
        for vector in vectors {
            let count: usize = vector
                .suffix()
                .parse()
                .expect("the name ends with the count");
            let header = Header {
                join: vector.fields.contains("Join:true"),
                nodes: count,
                user_state: count,
            };
            assert_eq!(header.encode(), vector.bytes, "{}", vector.name);
            let read = Header::decode(&mut Reader::new(&vector.bytes[1..]));
            if count <= MAX_NODES {
                assert_eq!(read, Ok(header), "{}", vector.name);
            } else {
                assert!(matches!(read, Err(WireError::TooLarge { .. })), "{read:?}");
            }
        }
    }

    #[test]
    fn negative_counts_are_refused() {
        let mut out = Writer::append(Vec::new(), 1);
        out.int("Nodes", -1);
        let read = Header::decode(&mut Reader::new(&out.finish()));
        assert!(matches!(read, Err(WireError::Malformed { .. })), "{read:?}");
    }
}
