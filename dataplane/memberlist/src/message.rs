//! The messages that packets carry, and their msgpack bodies.

use bytes::Bytes;

use crate::config::MAX_NAME;
use crate::error::WireError;
use crate::msgpack::{Reader, Writer};

/// Type bytes, the first byte of every message.
pub(crate) mod kind {
    pub(crate) const PING: u8 = 0;
    pub(crate) const INDIRECT_PING: u8 = 1;
    pub(crate) const ACK: u8 = 2;
    pub(crate) const SUSPECT: u8 = 3;
    pub(crate) const ALIVE: u8 = 4;
    pub(crate) const DEAD: u8 = 5;
    pub(crate) const PUSH_PULL: u8 = 6;
    pub(crate) const COMPOUND: u8 = 7;
    pub(crate) const USER: u8 = 8;
    pub(crate) const COMPRESS: u8 = 9;
    pub(crate) const ENCRYPT: u8 = 10;
    pub(crate) const NACK: u8 = 11;
    pub(crate) const HAS_CRC: u8 = 12;
    pub(crate) const ERR: u8 = 13;
    pub(crate) const HAS_LABEL: u8 = 244;
}

/// Are you there?
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ping {
    /// Number that the answer repeats.
    pub seq_no: u32,
    /// Who is asked; nobody else answers. Empty asks whoever receives it.
    pub node: String,
    /// Where to answer to, in wire form; empty means the source of the packet.
    pub source_addr: Vec<u8>,
    /// The port to answer to.
    pub source_port: u16,
    /// Who asks.
    pub source_node: String,
}

/// Please ask somebody else for me.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndirectPing {
    /// Number that the answer repeats.
    pub seq_no: u32,
    /// The IP address of the node to ask, in wire form.
    pub target: Vec<u8>,
    /// The port of the node to ask.
    pub port: u16,
    /// The name of the node to ask.
    pub node: String,
    /// Whether the asker understands a [`Message::Nack`].
    pub nack: bool,
    /// Where to answer to, in wire form.
    pub source_addr: Vec<u8>,
    /// The port to answer to.
    pub source_port: u16,
    /// Who asks.
    pub source_node: String,
}

/// I am here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ack {
    /// The number of the ping.
    pub seq_no: u32,
    /// Opaque data; `None` and empty mean the same and differ on the wire.
    pub payload: Option<Vec<u8>>,
}

/// Somebody doubts that a node is alive, or says that it is not: the body of suspect and dead messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accusation {
    /// The incarnation that is accused.
    pub incarnation: u32,
    /// Who is accused.
    pub node: String,
    /// Who accuses. In a dead message, the node itself when it leaves.
    pub from: String,
}

/// A node is alive, with this record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Alive {
    /// The node's incarnation.
    pub incarnation: u32,
    /// The node's name.
    pub node: String,
    /// Its IP address, in wire form.
    pub addr: Vec<u8>,
    /// Its port; 0 means that of the receiver.
    pub port: u16,
    /// Its metadata; `None` and empty mean the same and differ on the wire.
    pub meta: Option<Vec<u8>>,
    /// Its versions, six bytes. Never send fewer: it kills Go peers.
    pub vsn: Option<Vec<u8>>,
}

/// One message, without wrappers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Type 0.
    Ping(Ping),
    /// Type 1.
    IndirectPing(IndirectPing),
    /// Type 2.
    Ack(Ack),
    /// Type 3.
    Suspect(Accusation),
    /// Type 4.
    Alive(Alive),
    /// Type 5.
    Dead(Accusation),
    /// Type 8: opaque to memberlist.
    User(Bytes),
    /// Type 11: the number of the indirect ping whose target did not answer.
    Nack(u32),
    /// Type 13: why a stream was refused.
    Err(String),
}

impl Message {
    /// Encodes the message, its type byte included, exactly as Go peers do.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Ping(ping) => ping.encode(),
            Self::IndirectPing(ping) => ping.encode(),
            Self::Ack(ack) => ack.encode(),
            Self::Suspect(accusation) => accusation.encode(kind::SUSPECT),
            Self::Alive(alive) => alive.encode(),
            Self::Dead(accusation) => accusation.encode(kind::DEAD),
            Self::User(payload) => [&[kind::USER], payload.as_ref()].concat(),
            Self::Nack(seq_no) => {
                let mut out = Writer::message(kind::NACK, 1);
                out.uint("SeqNo", *seq_no);
                out.finish()
            }
            Self::Err(error) => {
                let mut out = Writer::message(kind::ERR, 1);
                out.raw("Error", error.as_bytes());
                out.finish()
            }
        }
    }

    /// Decodes one message that is not a wrapper.
    ///
    /// # Errors
    /// If the type is a wrapper or unknown, or the body is not what the type announces.
    pub fn decode(bytes: &Bytes) -> Result<Self, WireError> {
        let Some((&kind, body)) = bytes.split_first() else {
            return Err(WireError::Truncated { what: "message" });
        };
        let mut body = Reader::new(body);
        Ok(match kind {
            kind::PING => Self::Ping(Ping::decode(&mut body)?),
            kind::INDIRECT_PING => Self::IndirectPing(IndirectPing::decode(&mut body)?),
            kind::ACK => Self::Ack(Ack::decode(&mut body)?),
            kind::SUSPECT => Self::Suspect(Accusation::decode(&mut body, "suspect")?),
            kind::ALIVE => Self::Alive(Alive::decode(&mut body)?),
            kind::DEAD => Self::Dead(Accusation::decode(&mut body, "dead")?),
            kind::USER => Self::User(bytes.slice(1..)),
            kind::NACK => Self::Nack(decode_nack(&mut body)?),
            kind::ERR => Self::Err(decode_err(&mut body)?),
            found => {
                return Err(WireError::UnexpectedType {
                    found,
                    place: "packet",
                });
            }
        })
    }
}

impl Ping {
    fn encode(&self) -> Vec<u8> {
        let optional = [
            !self.source_addr.is_empty(),
            !self.source_node.is_empty(),
            self.source_port != 0,
        ];
        let mut out = Writer::message(kind::PING, 2 + count(&optional));
        out.raw("Node", self.node.as_bytes());
        out.uint("SeqNo", self.seq_no);
        encode_source(
            &mut out,
            &self.source_addr,
            &self.source_node,
            self.source_port,
        );
        out.finish()
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut ping = Self::default();
        body.map("ping", |key, value| {
            match key {
                b"Node" => ping.node = value.text()?,
                b"SeqNo" => ping.seq_no = value.uint()?,
                b"SourceAddr" => ping.source_addr = value.raw()?.unwrap_or_default(),
                b"SourceNode" => ping.source_node = value.text()?,
                b"SourcePort" => ping.source_port = value.uint()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(ping)
    }
}

impl IndirectPing {
    fn encode(&self) -> Vec<u8> {
        let optional = [
            !self.source_addr.is_empty(),
            !self.source_node.is_empty(),
            self.source_port != 0,
        ];
        let mut out = Writer::message(kind::INDIRECT_PING, 5 + count(&optional));
        out.bool("Nack", self.nack);
        out.raw("Node", self.node.as_bytes());
        out.uint("Port", u32::from(self.port));
        out.uint("SeqNo", self.seq_no);
        encode_source(
            &mut out,
            &self.source_addr,
            &self.source_node,
            self.source_port,
        );
        out.raw("Target", &self.target);
        out.finish()
    }

    fn decode(body: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut ping = Self::default();
        body.map("indirect ping", |key, value| {
            match key {
                b"Nack" => ping.nack = value.bool()?,
                b"Node" => ping.node = value.text()?,
                b"Port" => ping.port = value.uint()?,
                b"SeqNo" => ping.seq_no = value.uint()?,
                b"SourceAddr" => ping.source_addr = value.raw()?.unwrap_or_default(),
                b"SourceNode" => ping.source_node = value.text()?,
                b"SourcePort" => ping.source_port = value.uint()?,
                b"Target" => ping.target = value.raw()?.unwrap_or_default(),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(ping)
    }
}

fn count(present: &[bool]) -> u8 {
    present.iter().map(|&present| u8::from(present)).sum()
}

fn encode_source(out: &mut Writer, addr: &[u8], node: &str, port: u16) {
    if !addr.is_empty() {
        out.raw("SourceAddr", addr);
    }
    if !node.is_empty() {
        out.raw("SourceNode", node.as_bytes());
    }
    if port != 0 {
        out.uint("SourcePort", u32::from(port));
    }
}

impl Ack {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::message(kind::ACK, 2);
        out.raw_or_nil("Payload", self.payload.as_deref());
        out.uint("SeqNo", self.seq_no);
        out.finish()
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut ack = Self::default();
        body.map("ack", |key, value| {
            match key {
                b"Payload" => ack.payload = value.raw()?,
                b"SeqNo" => ack.seq_no = value.uint()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(ack)
    }
}

impl Accusation {
    /// Refuses names that nobody has: they would be stored and gossiped on.
    pub(crate) fn check(&self) -> Result<(), WireError> {
        match self.node.len().max(self.from.len()) <= MAX_NAME {
            true => Ok(()),
            false => Err(WireError::Malformed {
                what: "accusation",
                reason: "node name is longer than 255 bytes",
            }),
        }
    }

    fn encode(&self, kind: u8) -> Vec<u8> {
        let mut out = Writer::message(kind, 3);
        out.raw("From", self.from.as_bytes());
        out.uint("Incarnation", self.incarnation);
        out.raw("Node", self.node.as_bytes());
        out.finish()
    }

    fn decode(body: &mut Reader<'_>, what: &'static str) -> Result<Self, WireError> {
        let mut accusation = Self::default();
        body.map(what, |key, value| {
            match key {
                b"From" => accusation.from = value.text()?,
                b"Incarnation" => accusation.incarnation = value.uint()?,
                b"Node" => accusation.node = value.text()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(accusation)
    }
}

impl Alive {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::message(kind::ALIVE, 6);
        out.raw("Addr", &self.addr);
        out.uint("Incarnation", self.incarnation);
        out.raw_or_nil("Meta", self.meta.as_deref());
        out.raw("Node", self.node.as_bytes());
        out.uint("Port", u32::from(self.port));
        out.raw_or_nil("Vsn", self.vsn.as_deref());
        out.finish()
    }

    fn decode(body: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut alive = Self::default();
        body.map("alive", |key, value| {
            match key {
                b"Addr" => alive.addr = value.raw()?.unwrap_or_default(),
                b"Incarnation" => alive.incarnation = value.uint()?,
                b"Meta" => alive.meta = value.raw()?,
                b"Node" => alive.node = value.text()?,
                b"Port" => alive.port = value.uint()?,
                b"Vsn" => alive.vsn = value.raw()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(alive)
    }
}

fn decode_nack(body: &mut Reader<'_>) -> Result<u32, WireError> {
    let mut seq_no = 0;
    body.map("nack", |key, value| {
        if key != b"SeqNo" {
            return Ok(false);
        }
        seq_no = value.uint()?;
        Ok(true)
    })?;
    Ok(seq_no)
}

pub(crate) fn decode_err(body: &mut Reader<'_>) -> Result<String, WireError> {
    let mut error = String::new();
    body.map("error", |key, value| {
        if key != b"Error" {
            return Ok(false);
        }
        error = value.text()?;
        Ok(true)
    })?;
    Ok(error)
}
