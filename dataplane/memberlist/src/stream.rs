//! Streams: `label( encrypt( compress( push/pull | ping | user )))`, delimited by their own content.

use bytes::Bytes;

use crate::compress;
use crate::encryption::Keyring;
use crate::error::WireError;
use crate::label::LabelPolicy;
use crate::message::{Ack, Ping, decode_err, kind};
use crate::msgpack::{Reader, Writer};
use crate::packet::MAX_PACKET;
use crate::push_pull::{Header, MAX_USER_STATE, PushPull, PushPullNode, within};

/// Most bytes of a stream's message, wrappers included.
pub const MAX_STREAM: usize = 32 * 1024 * 1024;
/// Most bytes of one map in a stream, other than a compressed message.
const MAX_MAP: usize = 64 * 1024;

/// What a stream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamMessage {
    /// The other side's state; an opener expects the same in return.
    PushPull(PushPull),
    /// A ping that could not be sent as a packet; expects an ack on the same stream.
    Ping(Ping),
    /// A user message; expects nothing.
    User(Bytes),
    /// The other side refuses, and says why.
    Error(String),
    /// The answer to a ping.
    Ack(Ack),
}

impl StreamMessage {
    /// Returns about how many bytes of memory the message takes: a compressed one a thousand times those that arrived.
    pub fn held_bytes(&self) -> usize {
        match self {
            Self::PushPull(state) => state.held_bytes(),
            Self::User(payload) => payload.len(),
            Self::Ping(ping) => ping.node.len() + ping.source_node.len(),
            Self::Error(reason) => reason.len(),
            Self::Ack(ack) => ack.payload.as_ref().map_or(0, Vec::len),
        }
    }
}

/// Reads one message from a stream that arrives piece by piece.
///
/// A stream has no length and need not end, so the reader says when the message is complete. It holds what
/// arrived, never what was merely announced.
#[derive(Debug)]
pub struct StreamReader {
    label: Option<LabelPolicy>,
    opening: Option<Opening>,
    buffer: Vec<u8>,
    progress: Progress,
    needed: usize,
}

impl StreamReader {
    /// Creates a reader for what an opener sends.
    pub(crate) fn request(label: LabelPolicy, opening: Option<Opening>) -> Self {
        Self::new(Some(label), opening, Side::Opener)
    }

    /// Creates a reader for the answer to an opener; answers have no label.
    pub(crate) fn response(opening: Option<Opening>) -> Self {
        Self::new(None, opening, Side::Acceptor)
    }

    fn new(label: Option<LabelPolicy>, opening: Option<Opening>, side: Side) -> Self {
        Self {
            label,
            opening,
            buffer: Vec::new(),
            progress: Progress::new(side),
            needed: 1,
        }
    }

    /// Takes the next bytes and returns the message once it is complete; what follows it is ignored.
    ///
    /// # Errors
    /// If the stream cannot become a message that is accepted. Close it without an answer.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<StreamMessage>, WireError> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < self.needed {
            return Ok(None);
        }
        match self.advance() {
            Ok(message) => Ok(Some(message)),
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::Needs(needed)) => {
                if needed > MAX_STREAM as u64 {
                    return Err(WireError::TooLarge {
                        what: "stream",
                        size: needed,
                        limit: MAX_STREAM as u64,
                    });
                }
                self.needed = needed as usize;
                Ok(None)
            }
        }
    }

    fn advance(&mut self) -> Result<StreamMessage, Stop> {
        if let Some(policy) = &self.label {
            match self.buffer[..] {
                [kind::HAS_LABEL] => return Err(Stop::Needs(2)),
                [kind::HAS_LABEL, len, ..] if self.buffer.len() < 2 + usize::from(len) => {
                    return Err(Stop::Needs(2 + u64::from(len)));
                }
                _ => {}
            }
            let rest = policy.strip(&self.buffer)?;
            self.progress.offset = self.buffer.len() - rest.len();
            self.label = None;
        }
        let input = &self.buffer[self.progress.offset..];
        match &self.opening {
            Some(opening) if input.first() == Some(&kind::ENCRYPT) => {
                let plain = opening.open(self.progress.offset, input)?;
                Progress::new(self.progress.side)
                    .advance(&plain, true)
                    .map_err(|stop| stop.at_the_end_of("encrypted stream"))
            }
            Some(opening) if opening.required && !input.is_empty() => {
                Err(WireError::NotEncrypted.into())
            }
            _ => self.progress.advance(&self.buffer, true),
        }
    }
}

/// How to decrypt a stream.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) keys: Keyring,
    pub(crate) label: String,
    /// Plain streams are refused.
    pub(crate) required: bool,
}

impl Opening {
    /// Decrypts `input`, which starts `offset` bytes into the stream, once it is complete.
    fn open(&self, offset: usize, input: &[u8]) -> Result<Vec<u8>, Stop> {
        const HEADER: usize = 5;
        let needed = |len: usize| Stop::Needs((offset + len) as u64);
        let (header, rest) = input
            .split_first_chunk::<HEADER>()
            .ok_or_else(|| needed(HEADER))?;
        let [_, a, b, c, d] = *header;
        let len = i64::from(u32::from_be_bytes([a, b, c, d]));
        let len = within("encrypted stream", len, MAX_USER_STATE)?;
        let sealed = rest.get(..len).ok_or_else(|| needed(HEADER + len))?;
        let authenticated = [header, self.label.as_bytes()].concat();
        Ok(self.keys.open(sealed, &authenticated)?)
    }
}

/// Why reading stops.
enum Stop {
    /// The input must have this many bytes at least.
    Needs(u64),
    Failed(WireError),
}

impl Stop {
    /// Makes of an end that comes too early what it is where nothing can follow.
    fn at_the_end_of(self, what: &'static str) -> Self {
        match self {
            Self::Needs(_) => Self::Failed(WireError::Truncated { what }),
            failed => failed,
        }
    }
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        Self::Failed(error)
    }
}

/// How far the input was understood.
#[derive(Debug)]
struct Progress {
    side: Side,
    offset: usize,
    content: Option<Content>,
}

/// Who sends what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Opener,
    Acceptor,
}

/// What follows a header.
#[derive(Debug)]
enum Content {
    PushPull {
        header: Header,
        nodes: Vec<PushPullNode>,
    },
    User {
        len: usize,
    },
}

enum Start {
    Complete(StreamMessage),
    Content(Content),
}

impl Progress {
    fn new(side: Side) -> Self {
        Self {
            side,
            offset: 0,
            content: None,
        }
    }

    fn advance(&mut self, input: &[u8], may_be_compressed: bool) -> Result<StreamMessage, Stop> {
        let mut content = match self.content.take() {
            Some(content) => content,
            None => match self.start(input, may_be_compressed)? {
                Start::Complete(message) => return Ok(message),
                Start::Content(content) => content,
            },
        };
        let result = self.finish(input, &mut content);
        self.content = Some(content);
        result
    }

    fn start(&mut self, input: &[u8], may_be_compressed: bool) -> Result<Start, Stop> {
        let Some(&kind) = input.get(self.offset) else {
            return Err(Stop::Needs(self.offset as u64 + 1));
        };
        let complete = match kind {
            kind::PUSH_PULL => {
                let header = self.map(input, 1, Header::decode)?;
                let nodes = Vec::new();
                return Ok(Start::Content(Content::PushPull { header, nodes }));
            }
            kind::USER => {
                let len = self.map(input, 1, decode_user_len)?;
                return Ok(Start::Content(Content::User { len }));
            }
            kind::PING => StreamMessage::Ping(self.map(input, 1, Ping::decode)?),
            kind::ACK if self.side == Side::Acceptor => {
                StreamMessage::Ack(self.map(input, 1, Ack::decode)?)
            }
            kind::ERR => StreamMessage::Error(self.map(input, 1, decode_err)?),
            kind::COMPRESS if may_be_compressed => self.compressed(input)?,
            kind::ENCRYPT => return Err(WireError::Encrypted.into()),
            found => {
                let place = "stream";
                return Err(WireError::UnexpectedType { found, place }.into());
            }
        };
        Ok(Start::Complete(complete))
    }

    fn finish(&mut self, input: &[u8], content: &mut Content) -> Result<StreamMessage, Stop> {
        match content {
            Content::PushPull { header, nodes } => {
                while nodes.len() < header.nodes {
                    nodes.push(self.map(input, 0, PushPullNode::decode)?);
                }
                let user_state = self.bytes(input, header.user_state)?;
                Ok(StreamMessage::PushPull(PushPull {
                    join: header.join,
                    nodes: std::mem::take(nodes),
                    user_state,
                }))
            }
            Content::User { len } => self.bytes(input, *len).map(StreamMessage::User),
        }
    }

    /// Decodes a map that starts `skip` bytes further on, and moves behind it.
    fn map<T>(
        &mut self,
        input: &[u8],
        skip: usize,
        decode: impl FnOnce(&mut Reader<'_>) -> Result<T, WireError>,
    ) -> Result<T, Stop> {
        let start = self.offset + skip;
        let mut reader = Reader::new(&input[start..]);
        match decode(&mut reader) {
            Ok(value) => {
                self.offset = start + reader.position();
                Ok(value)
            }
            Err(WireError::Truncated { .. }) if reader.needed() <= MAX_MAP as u64 => {
                Err(Stop::Needs(start as u64 + reader.needed()))
            }
            Err(WireError::Truncated { what }) => Err(Stop::Failed(WireError::TooLarge {
                what,
                size: reader.needed(),
                limit: MAX_MAP as u64,
            })),
            Err(error) => Err(Stop::Failed(error)),
        }
    }

    fn bytes(&mut self, input: &[u8], len: usize) -> Result<Bytes, Stop> {
        let end = self.offset + len;
        match input.get(self.offset..end) {
            Some(bytes) => Ok(Bytes::copy_from_slice(bytes)),
            None => Err(Stop::Needs(end as u64)),
        }
    }

    fn compressed(&self, input: &[u8]) -> Result<StreamMessage, Stop> {
        let start = self.offset + 1;
        let mut reader = Reader::new(&input[start..]);
        let plain = match compress::unwrap(&mut reader, MAX_PACKET) {
            Ok(plain) => plain,
            Err(WireError::Truncated { .. }) => {
                return Err(Stop::Needs(start as u64 + reader.needed()));
            }
            Err(error) => return Err(Stop::Failed(error)),
        };
        Self::new(self.side)
            .advance(&plain, false)
            .map_err(|stop| stop.at_the_end_of("compressed stream"))
    }
}

fn decode_user_len(body: &mut Reader<'_>) -> Result<usize, WireError> {
    let mut len = 0i64;
    body.map("user message header", |key, value| {
        if key != b"UserMsgLen" {
            return Ok(false);
        }
        len = value.uint()?;
        Ok(true)
    })?;
    within("user message", len, MAX_USER_STATE)
}

/// Encodes a user message as it goes over a stream, its type byte included.
pub(crate) fn encode_user(payload: &[u8]) -> Vec<u8> {
    let mut header = Writer::message(kind::USER, 1);
    header.int("UserMsgLen", payload.len() as i64);
    let mut out = header.finish();
    out.extend_from_slice(payload);
    out
}
