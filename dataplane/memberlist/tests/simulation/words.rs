//! The replicated state of the simulated drivers: words that everybody should know.

use std::collections::BTreeSet;
use std::sync::Arc;

use pyroscope_memberlist::{Broadcast, Origin, Timestamp};

use crate::network::{Reaction, Replica};

/// What the compact form of a word starts with.
const COMPACT: &str = "~";

/// A set that only grows.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub(crate) known: BTreeSet<String>,
    /// Knows no compact forms.
    plain: bool,
}

impl Words {
    pub(crate) fn new(plain: bool) -> Self {
        Self {
            plain,
            ..Self::default()
        }
    }

    pub(crate) fn say(&mut self, word: &str) -> Reaction {
        self.learn([word], Origin::Local)
    }

    fn learn<'a>(&mut self, words: impl IntoIterator<Item = &'a str>, origin: Origin) -> Reaction {
        let mut broadcasts = Vec::new();
        for word in words {
            if !self.known.insert(word.to_owned()) {
                continue;
            }
            let id: Arc<str> = word.into();
            let version = self.known.len() as u64;
            let broadcast = Broadcast::new("words", [id], version, word.to_owned());
            let broadcast = match version % 3 {
                _ if self.plain => broadcast,
                0 => broadcast,
                1 => broadcast.lazy(),
                _ => broadcast.with_compact(format!("{COMPACT}{word}")),
            };
            broadcasts.push((origin, broadcast));
        }
        Reaction {
            broadcasts,
            wants_push_pull: false,
        }
    }
}

impl Replica for Words {
    fn receive(&mut self, _now: Timestamp, message: &[u8]) -> Reaction {
        let message = String::from_utf8_lossy(message);
        let word = message.strip_prefix(COMPACT);
        assert!(
            word.is_none() || !self.plain,
            "{message:?} went to a node that does not know compact forms"
        );
        self.learn([word.unwrap_or(&message)], Origin::Forwarded)
    }

    fn merge(&mut self, _now: Timestamp, state: &[u8]) -> Reaction {
        self.learn(String::from_utf8_lossy(state).lines(), Origin::Forwarded)
    }

    fn state(&self) -> Vec<u8> {
        let words: Vec<&str> = self.known.iter().map(String::as_str).collect();
        words.join("\n").into_bytes()
    }

    fn poll(&mut self, _now: Timestamp) -> Reaction {
        Reaction::default()
    }

    fn next_timeout(&self) -> Option<Timestamp> {
        None
    }

    fn stop(&mut self, _now: Timestamp) -> Reaction {
        Reaction::default()
    }
}
