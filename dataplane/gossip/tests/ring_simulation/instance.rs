//! One ingester: its store, its lifecycler, its clock and its disk.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use proto::memberlist::KeyValuePair;
use proto::ring::Desc;
use pyroscope_gossip::kv::{HEARTBEATS, ReceiveError, Retention, Store, Update};
use pyroscope_memberlist::{Broadcast, Origin, Timestamp};
use ring::{Lifecycler, LifecyclerConfig, Now, State};

use crate::network::{Random, Reaction, Replica};

pub(crate) const KEY: &str = "collectors/ring";
/// Unix time at the epoch of virtual time.
const UNIX: i64 = 1_790_000_000;
/// Longest wait for the ring before the instance registers in what it knows.
const FAST_JOIN: Duration = Duration::from_secs(10);
const RETENTION: Retention = Retention {
    tombstones: Duration::from_secs(300),
    deleted_keys: Duration::from_secs(300),
};

/// What outlives a process: the tokens file.
pub(crate) type Disk = Rc<RefCell<Vec<u32>>>;
/// The seconds by which a host's wall clock is wrong.
pub(crate) type Clock = Rc<Cell<i64>>;

/// The part of an ingester that is in the ring.
pub(crate) struct Instance {
    store: Store,
    pub(crate) lifecycler: Lifecycler,
    disk: Disk,
    clock: Clock,
    /// When the instance registers even if nobody told it the ring.
    starts_by: Option<Timestamp>,
    /// Knows nothing of heartbeats, as nodes of the Go implementation.
    plain: bool,
    silent: bool,
}

impl Instance {
    pub(crate) fn new(
        config: LifecyclerConfig,
        disk: Disk,
        clock: Clock,
        plain: bool,
        now: Timestamp,
        mut random: Random,
    ) -> Self {
        let tokens = disk.borrow().clone();
        Self {
            store: Store::new(RETENTION),
            lifecycler: Lifecycler::new(config, tokens, move || random.next() as u32),
            disk,
            clock,
            starts_by: Some(now + FAST_JOIN),
            plain,
            silent: false,
        }
    }

    /// Returns the ring as it is known here, tombstones included.
    pub(crate) fn ring(&self) -> Arc<Desc> {
        self.store.value(KEY).unwrap_or_default()
    }

    pub(crate) fn disk(&self) -> Vec<u32> {
        self.disk.borrow().clone()
    }

    /// Lets the lifecycler do nothing from now on.
    pub(crate) fn fall_silent(&mut self) {
        self.silent = true;
    }

    /// Takes a step of the lifecycler.
    fn step(
        &mut self,
        now: Timestamp,
        step: impl FnOnce(&mut Lifecycler, &Desc, Now) -> ring::Update,
    ) -> Reaction {
        let now_ms = self.unix_ms(now);
        let at = Now {
            unix: now_ms.div_euclid(1000),
            monotonic: now.as_duration(),
        };
        let ring = self.ring();
        let update = step(&mut self.lifecycler, &ring, at);
        drop(ring);
        if let Some(tokens) = update.persist {
            *self.disk.borrow_mut() = tokens;
        }
        let Some(instance) = update.instance else {
            return Reaction::default();
        };
        let records = Desc {
            ingesters: [(instance.id.clone(), instance)].into(),
        };
        let update = self.store.put(KEY, records, now_ms);
        let update = update.expect("a lifecycler's record is newer than the stored one");
        Reaction {
            broadcasts: vec![(Origin::Local, self.broadcast(update))],
            wants_push_pull: false,
        }
    }

    fn broadcast(&self, update: Update) -> Broadcast {
        let broadcast = Broadcast::new(update.key, update.ids, update.version, update.broadcast);
        if self.plain {
            return broadcast;
        }
        let broadcast = match update.lazy {
            true => broadcast.lazy(),
            false => broadcast,
        };
        match update.compact {
            Some(compact) => broadcast.with_compact(compact),
            None => broadcast,
        }
    }

    fn pass_on(&mut self, updates: impl IntoIterator<Item = Update>) -> Reaction {
        let broadcasts = updates
            .into_iter()
            .map(|update| (Origin::Forwarded, self.broadcast(update)))
            .collect();
        Reaction {
            broadcasts,
            wants_push_pull: self.store.take_push_pull_request(),
        }
    }

    fn unix_ms(&self, now: Timestamp) -> i64 {
        let elapsed = i64::try_from(now.as_duration().as_millis()).expect("runs are short");
        (UNIX + self.clock.get()) * 1000 + elapsed
    }
}

impl Replica for Instance {
    fn receive(&mut self, now: Timestamp, message: &[u8]) -> Reaction {
        if self.plain {
            let pair = KeyValuePair::decode(message).expect("the message is a pair");
            assert_ne!(
                pair.codec, HEARTBEATS,
                "heartbeats went to a node that does not know them"
            );
        }
        let now_ms = self.unix_ms(now);
        let update = self.store.receive(Bytes::copy_from_slice(message), now_ms);
        self.pass_on(update.expect("a peer's message is understood"))
    }

    fn merge(&mut self, now: Timestamp, state: &[u8]) -> Reaction {
        let now_ms = self.unix_ms(now);
        let results = self
            .store
            .receive_state(Bytes::copy_from_slice(state), now_ms);
        let updates: Result<Vec<Update>, ReceiveError> = results.into_iter().collect();
        let mut reaction = self.pass_on(updates.expect("a peer's state is understood"));
        if self.starts_by.take().is_some() {
            let started = self.step(now, Lifecycler::start);
            reaction.broadcasts.extend(started.broadcasts);
        }
        reaction
    }

    fn state(&self) -> Vec<u8> {
        self.store.full_state().to_vec()
    }

    fn poll(&mut self, now: Timestamp) -> Reaction {
        match self.starts_by.take() {
            Some(_) => self.step(now, Lifecycler::start),
            None => self.step(now, Lifecycler::poll),
        }
    }

    fn next_timeout(&self) -> Option<Timestamp> {
        if self.silent {
            return None;
        }
        let wakeup = || self.lifecycler.next_wakeup().map(Timestamp::from_duration);
        self.starts_by.or_else(wakeup)
    }

    fn stop(&mut self, now: Timestamp) -> Reaction {
        self.silent = true;
        if self.lifecycler.state() == State::Left || self.starts_by.is_some() {
            return Reaction::default();
        }
        let mut reaction = self.step(now, Lifecycler::leave);
        let left = self.step(now, Lifecycler::unregister);
        reaction.broadcasts.extend(left.broadcasts);
        reaction
    }
}
