//! The messages sent and received lately, for people who look for a fault.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use proto::memberlist::KeyValuePair;

use super::entry::Update;

/// What a record costs besides its message.
const OVERHEAD: usize = 256;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Unique on this node.
    pub id: u64,
    /// Unix milliseconds of sending or receiving.
    pub time_ms: i64,
    /// Bytes of the message.
    pub size: usize,
    /// The key that it is about.
    pub key: String,
    /// Id of the codec of its value.
    pub codec: String,
    /// Whether it says that the key is deleted.
    pub deleted: bool,
    /// The version that the value got here by it, or that it was made of; 0 for
    /// a received message that changed nothing.
    pub version: u64,
    /// Ids of the records that it changed here.
    pub changes: Vec<Arc<str>>,
}

/// Both directions, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// Messages that this node made; each goes to several others.
    pub sent: Vec<Message>,
    /// Messages of others.
    pub received: Vec<Message>,
}

/// The last messages, of each direction so many that their bytes stay below a
/// limit.
#[derive(Debug)]
pub(super) struct History {
    limit: usize,
    next_id: u64,
    sent: Buffer,
    received: Buffer,
}

#[derive(Debug, Default)]
struct Buffer {
    records: VecDeque<Record>,
    bytes: usize,
}

#[derive(Debug)]
struct Record {
    message: Message,
    value: Bytes,
    cost: usize,
}

impl History {
    /// Keeps messages of up to `limit` bytes per direction; none with 0.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            next_id: 1,
            sent: Buffer::default(),
            received: Buffer::default(),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.limit > 0
    }

    pub(super) fn add_sent(&mut self, update: &Update, now_ms: i64) {
        if let Some(record) = self.record(&update.broadcast, Some(update), now_ms) {
            self.sent.push(record, self.limit);
        }
    }

    /// Adds one pair of a full state that was sent.
    pub(super) fn add_sent_pair(&mut self, pair: &[u8], now_ms: i64) {
        if let Some(record) = self.record(pair, None, now_ms) {
            self.sent.push(record, self.limit);
        }
    }

    pub(super) fn add_received(&mut self, message: &[u8], update: Option<&Update>, now_ms: i64) {
        if let Some(record) = self.record(message, update, now_ms) {
            self.received.push(record, self.limit);
        }
    }

    pub(super) fn messages(&self) -> Messages {
        Messages {
            sent: self.sent.messages(),
            received: self.received.messages(),
        }
    }

    /// Returns codec and value of a message that is still kept.
    pub(super) fn value(&self, id: u64) -> Option<(String, Bytes)> {
        let mut records = self.sent.records.iter().chain(&self.received.records);
        let record = records.find(|record| record.message.id == id)?;
        Some((record.message.codec.clone(), record.value.clone()))
    }

    pub(super) fn clear(&mut self) {
        self.sent = Buffer::default();
        self.received = Buffer::default();
    }

    fn record(&mut self, bytes: &[u8], update: Option<&Update>, now_ms: i64) -> Option<Record> {
        if !self.is_on() {
            return None;
        }
        // Copied, as the buffers behind received messages are far larger.
        let pair = KeyValuePair::decode(bytes).ok()?;
        let changes = update.map_or_else(Vec::new, |update| update.ids.clone());
        let message = Message {
            id: self.next_id,
            time_ms: now_ms,
            size: bytes.len(),
            key: pair.key,
            codec: pair.codec,
            deleted: pair.deleted,
            version: update.map_or(0, |update| update.version),
            changes,
        };
        self.next_id += 1;
        let ids: usize = message.changes.iter().map(|id| id.len() + 16).sum();
        Some(Record {
            cost: message.size + ids + OVERHEAD,
            message,
            value: pair.value,
        })
    }
}

impl Buffer {
    fn push(&mut self, record: Record, limit: usize) {
        self.bytes += record.cost;
        self.records.push_back(record);
        while self.bytes > limit
            && let Some(oldest) = self.records.pop_front()
        {
            self.bytes -= oldest.cost;
        }
    }

    fn messages(&self) -> Vec<Message> {
        let messages = self.records.iter();
        messages.map(|record| record.message.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(value: &'static [u8]) -> Vec<u8> {
        KeyValuePair {
            key: "key".into(),
            codec: "ringDesc".into(),
            value: Bytes::from_static(value),
            ..KeyValuePair::default()
        }
        .encode_to_vec()
    }

    #[test]
    fn the_oldest_messages_make_room() {
        let message = pair(b"value");
        let mut history = History::new(3 * (message.len() + OVERHEAD));
        for time in 0..5 {
            history.add_received(&message, None, time);
        }
        history.add_sent_pair(&message, 9);
        let messages = history.messages();
        let times: Vec<i64> = messages.received.iter().map(|one| one.time_ms).collect();
        assert_eq!(times, [2, 3, 4]);
        assert_eq!(messages.sent[0].id, 6);
        assert_eq!(history.value(6).unwrap().1.as_ref(), b"value");
        assert!(history.value(1).is_none());
        history.clear();
        assert_eq!(history.messages(), Messages::default());
    }

    #[test]
    fn what_is_larger_than_the_history_is_not_kept() {
        let mut history = History::new(100);
        history.add_received(&pair(&[0; 200]), None, 0);
        assert!(history.messages().received.is_empty());
        assert_eq!(history.received.bytes, 0);
        let mut off = History::new(0);
        off.add_received(&pair(b""), None, 0);
        assert!(off.messages().received.is_empty());
    }
}
