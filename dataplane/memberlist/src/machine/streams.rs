//! What goes over streams, apart from the state itself.

use super::Machine;
use crate::error::WireError;
use crate::message::{Ack, Message, Ping};
use crate::push_pull::MAX_USER_STATE;
use crate::stream::{Opening, StreamReader, encode_user};

impl Machine {
    /// Creates a reader for a stream that another node opened.
    pub fn request_reader(&self) -> StreamReader {
        StreamReader::request(self.label.clone(), self.opening())
    }

    /// Creates a reader for the answer on a stream that this node opened.
    pub fn response_reader(&self) -> StreamReader {
        StreamReader::response(self.opening())
    }

    fn opening(&self) -> Option<Opening> {
        self.active_keys().map(|keys| Opening {
            keys: keys.clone(),
            label: self.config.label.clone(),
            required: self.config.verify_incoming,
        })
    }

    /// Returns the answer to a ping that came on a stream, or `None` if it is for another node.
    pub fn stream_ping_reply(&mut self, ping: &Ping) -> Option<Vec<u8>> {
        if !self.is_addressee(ping) {
            return None;
        }
        let ack = Ack {
            seq_no: ping.seq_no,
            payload: None,
        };
        Some(self.wrap_stream(false, Message::Ack(ack).encode()))
    }

    /// Encodes a user message that must not get lost: all that the opener of a stream sends. Nothing is answered.
    ///
    /// # Errors
    /// If it is longer than [`MAX_USER_STATE`].
    pub fn user_stream(&mut self, payload: &[u8]) -> Result<Vec<u8>, WireError> {
        if payload.len() > MAX_USER_STATE {
            return Err(WireError::TooLarge {
                what: "user message",
                size: payload.len() as u64,
                limit: MAX_USER_STATE as u64,
            });
        }
        Ok(self.wrap_stream(true, encode_user(payload)))
    }

    /// Returns what to tell the opener of a stream that was refused with `error`, before closing it; `None` says nothing.
    ///
    /// Only one whose settings differ from this node's learns why. The answer is not encrypted, as it could not be read.
    pub fn stream_refusal(&self, error: &WireError) -> Option<Vec<u8>> {
        match error {
            WireError::Encrypted | WireError::NotEncrypted => {
                Some(Message::Err(error.to_string()).encode())
            }
            _ => None,
        }
    }
}
