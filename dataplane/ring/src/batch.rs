//! Quorum accounting of one write of many items to many instances.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::{Instance, ReplicationSet};

/// Who is at fault for a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// The request: another attempt fails the same way.
    Client,
    /// The instance or the way to it: another attempt may succeed.
    Server,
}

/// What is sent to one address: its share of the items.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whom to call.
    pub instance: Arc<Instance>,
    /// The items to send, ascending.
    pub items: Vec<usize>,
    /// Whether it is not made: the instance takes no part now, and what it misses
    /// is handed off.
    pub is_absent: bool,
}

/// How the whole write went.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision<'a, E> {
    /// Every item has its quorum.
    Success,
    /// Every item has its quorum but those that were [refused](Batch::refused).
    Refused,
    /// An item cannot get its quorum any more, and another attempt may.
    Failed {
        /// The item.
        item: usize,
        /// The error that decided.
        error: &'a E,
    },
}

/// How the write of one item went.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<'a, E> {
    /// Not decided; more results have to come.
    Pending,
    /// The item has its quorum.
    Success,
    /// The item did not get its quorum.
    Failed {
        /// Who is at fault.
        family: Family,
        /// The error that decided.
        error: &'a E,
    },
}

/// The state of one batched write.
///
/// Items are grouped by the address of their replicas; the caller makes one
/// [`Call`] each, records results as they come, and answers its client at the
/// first [`decision`](Self::decision), while the other calls go on.
///
/// An item succeeds at its quorum; later errors do not count. It fails as soon
/// as one family of errors exceeds the errors that its set tolerates, or when
/// its last result is in without a quorum; the error that decides is the one to
/// report. Grafana dskit decides likewise (all orders of three results are in
/// `tests/vectors/do_batch_rf3.json`), but for two things. Of errors of both
/// families, none of which decides alone, it reports the last; here the instance
/// is at fault whatever the order, for with it the item might have succeeded.
/// And it fails the whole write with the first item; here items that were
/// refused leave the others to go on.
#[derive(Debug)]
pub struct Batch<E> {
    calls: Vec<Call>,
    /// The errors of calls, and of items that calls refused.
    errors: Vec<E>,
    items: Vec<Item>,
    /// Items that are not decided.
    pending: usize,
    /// Items that were refused.
    refused: usize,
    /// The first item that failed by another fault.
    failed: Option<usize>,
    /// Which calls have their result.
    recorded: Vec<bool>,
}

#[derive(Debug)]
struct Item {
    max_errors: usize,
    missing_successes: usize,
    outstanding: usize,
    client_errors: Errors,
    server_errors: Errors,
    state: ItemState,
}

/// Errors of one family.
#[derive(Clone, Copy, Debug, Default)]
struct Errors {
    count: usize,
    /// Position among the errors of the batch.
    last: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ItemState {
    Pending,
    Success,
    /// Decided by this error.
    Failed(Family, usize),
}

impl Call {
    fn to(instance: &Arc<Instance>, is_absent: bool) -> Self {
        Self {
            instance: Arc::clone(instance),
            items: Vec::new(),
            is_absent,
        }
    }
}

impl<E> Batch<E> {
    /// Plans the calls for items with these replica sets. Instances that share
    /// an address count as one copy.
    pub fn new(items: Vec<ReplicationSet>) -> Self {
        let mut calls: Vec<Call> = Vec::new();
        let mut by_addr: HashMap<String, usize> = HashMap::new();
        for (item, set) in items.iter().enumerate() {
            for instance in &set.instances {
                let call = *by_addr.entry(instance.addr.clone()).or_insert_with(|| {
                    calls.push(Call::to(instance, false));
                    calls.len() - 1
                });
                if calls[call].items.last() != Some(&item) {
                    calls[call].items.push(item);
                }
            }
        }
        for (item, set) in items.iter().enumerate() {
            for instance in &set.absent {
                let call = *by_addr.entry(instance.addr.clone()).or_insert_with(|| {
                    calls.push(Call::to(instance, true));
                    calls.len() - 1
                });
                // Another one may have its address by now.
                if calls[call].is_absent && calls[call].items.last() != Some(&item) {
                    calls[call].items.push(item);
                }
            }
        }
        let items: Vec<Item> = items.iter().map(Item::new).collect();
        let is_pending = |item: &&Item| item.state == ItemState::Pending;
        Self {
            errors: Vec::new(),
            recorded: vec![false; calls.len()],
            pending: items.iter().filter(is_pending).count(),
            refused: 0,
            failed: None,
            calls,
            items,
        }
    }

    /// Returns the calls to make, in a fixed order.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Records the result of a call for all its items. A second result of the
    /// same call, or one of a call that does not exist, is ignored.
    pub fn record(&mut self, call: usize, result: Result<(), (Family, E)>) {
        if !self.begin(call) {
            return;
        }
        let error = result
            .err()
            .map(|(family, error)| (family, self.keep(error)));
        for at in 0..self.calls[call].items.len() {
            self.record_item(self.calls[call].items[at], error);
        }
    }

    /// Records that a call refused these of its items, each for its own error,
    /// and took all others.
    pub fn record_in_part(&mut self, call: usize, refused: Vec<(usize, E)>) {
        if !self.begin(call) {
            return;
        }
        let mut errors = HashMap::with_capacity(refused.len());
        for (item, error) in refused {
            errors.insert(item, (Family::Client, self.keep(error)));
        }
        for at in 0..self.calls[call].items.len() {
            let item = self.calls[call].items[at];
            self.record_item(item, errors.get(&item).copied());
        }
    }

    /// Tells whether the result of a call is still to come.
    fn begin(&mut self, call: usize) -> bool {
        match self.recorded.get_mut(call) {
            Some(recorded) => !std::mem::replace(recorded, true),
            None => false,
        }
    }

    fn keep(&mut self, error: E) -> usize {
        self.errors.push(error);
        self.errors.len() - 1
    }

    fn record_item(&mut self, index: usize, error: Option<(Family, usize)>) {
        let item = &mut self.items[index];
        if item.state != ItemState::Pending {
            return;
        }
        item.record(error);
        match item.state {
            ItemState::Pending => return,
            ItemState::Success => {}
            ItemState::Failed(Family::Client, _) => self.refused += 1,
            ItemState::Failed(Family::Server, _) => {
                self.failed.get_or_insert(index);
            }
        }
        self.pending -= 1;
    }

    /// Returns the decision on the whole write, once there is one. It does not
    /// change afterwards.
    pub fn decision(&self) -> Option<Decision<'_, E>> {
        if let Some(item) = self.failed {
            let ItemState::Failed(_, error) = self.items[item].state else {
                return None;
            };
            let error = &self.errors[error];
            return Some(Decision::Failed { item, error });
        }
        if self.pending > 0 {
            return None;
        }
        Some(match self.refused {
            0 => Decision::Success,
            _ => Decision::Refused,
        })
    }

    /// Returns the items that their quorum refused, ascending, each with the last
    /// refusal.
    pub fn refused(&self) -> impl Iterator<Item = (usize, &E)> {
        let items = self.items.iter().enumerate();
        items.filter_map(|(index, item)| match item.state {
            ItemState::Failed(Family::Client, error) => Some((index, &self.errors[error])),
            _ => None,
        })
    }

    /// Tells whether an item has its quorum.
    ///
    /// # Panics
    /// Panics when there is no such item.
    pub fn has_quorum(&self, item: usize) -> bool {
        self.items[item].state == ItemState::Success
    }

    /// Whether a result of this call can still change how one of its items
    /// stands.
    pub fn matters(&self, call: usize) -> bool {
        let open = |&item: &usize| self.items[item].state == ItemState::Pending;
        !self.recorded[call] && self.calls[call].items.iter().any(open)
    }

    /// Returns the calls that have to be made too: those not in `running`, and
    /// without a result, that share an item with too few running calls for its
    /// quorum.
    pub fn needed(&self, running: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut hopes = vec![0; self.items.len()];
        let open = |call: &usize| !self.recorded[*call];
        for call in (0..self.calls.len())
            .filter(open)
            .filter(|&call| running(call))
        {
            for &item in &self.calls[call].items {
                hopes[item] += 1;
            }
        }
        let short = |&item: &usize| {
            let Item {
                state,
                missing_successes,
                ..
            } = self.items[item];
            state == ItemState::Pending && hopes[item] < missing_successes
        };
        (0..self.calls.len())
            .filter(open)
            .filter(|&call| !running(call))
            .filter(|&call| self.calls[call].items.iter().any(&short))
            .collect()
    }

    /// Returns how an item stands, also after the decision on the whole write.
    ///
    /// # Panics
    /// Panics when there is no such item.
    pub fn outcome(&self, item: usize) -> Outcome<'_, E> {
        match self.items[item].state {
            ItemState::Pending => Outcome::Pending,
            ItemState::Success => Outcome::Success,
            ItemState::Failed(family, error) => Outcome::Failed {
                family,
                error: &self.errors[error],
            },
        }
    }
}

impl Item {
    fn new(set: &ReplicationSet) -> Self {
        let addresses: BTreeSet<&str> = set.instances.iter().map(|i| i.addr.as_str()).collect();
        let missing_successes = set.min_success().min(addresses.len());
        Self {
            max_errors: set.max_errors,
            missing_successes,
            outstanding: addresses.len(),
            client_errors: Errors::default(),
            server_errors: Errors::default(),
            state: if missing_successes == 0 {
                ItemState::Success
            } else {
                ItemState::Pending
            },
        }
    }

    /// Counts a result for an item that is not decided.
    fn record(&mut self, error: Option<(Family, usize)>) {
        self.outstanding -= 1;
        match error {
            None => self.missing_successes -= 1,
            Some((Family::Client, error)) => self.client_errors.add(error),
            Some((Family::Server, error)) => self.server_errors.add(error),
        }
        let (client, server) = (self.client_errors, self.server_errors);
        if self.missing_successes == 0 {
            self.state = ItemState::Success;
        } else if client.count > self.max_errors {
            self.state = ItemState::Failed(Family::Client, client.last);
        } else if server.count > self.max_errors || self.outstanding == 0 {
            self.state = match server.count {
                // Instances that share an address make fewer results than
                // there are instances.
                0 => ItemState::Failed(Family::Client, client.last),
                _ => ItemState::Failed(Family::Server, server.last),
            };
        }
    }
}

impl Errors {
    fn add(&mut self, error: usize) {
        self.count += 1;
        self.last = error;
    }
}
