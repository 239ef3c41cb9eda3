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
}

/// How the whole write went.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision<'a, E> {
    /// Every item has its quorum.
    Success,
    /// An item cannot get its quorum any more, or only with mixed errors.
    Failed {
        /// The item.
        item: usize,
        /// Who is at fault.
        family: Family,
        /// The error of the call that decided.
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
        /// The error of the call that decided.
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
/// `tests/vectors/do_batch_rf3.json`).
#[derive(Debug)]
pub struct Batch<E> {
    calls: Vec<Call>,
    /// The error of each call that failed.
    errors: Vec<Option<(Family, E)>>,
    items: Vec<Item>,
    /// Items that are not decided.
    pending: usize,
    /// The first item that failed.
    failed: Option<usize>,
    /// Which calls have their result.
    recorded: Vec<bool>,
}

#[derive(Debug)]
struct Item {
    max_errors: usize,
    missing_successes: usize,
    outstanding: usize,
    client_errors: usize,
    server_errors: usize,
    last_error: Option<usize>,
    state: ItemState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ItemState {
    Pending,
    Success,
    /// Decided by the error of this call.
    Failed(usize),
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
                    calls.push(Call {
                        instance: Arc::clone(instance),
                        items: Vec::new(),
                    });
                    calls.len() - 1
                });
                if calls[call].items.last() != Some(&item) {
                    calls[call].items.push(item);
                }
            }
        }
        let items: Vec<Item> = items.iter().map(Item::new).collect();
        let is_pending = |item: &&Item| item.state == ItemState::Pending;
        Self {
            errors: calls.iter().map(|_| None).collect(),
            recorded: vec![false; calls.len()],
            pending: items.iter().filter(is_pending).count(),
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
        if self.recorded.get(call).is_none_or(|recorded| *recorded) {
            return;
        }
        self.recorded[call] = true;
        let family = result.as_ref().err().map(|(family, _)| *family);
        self.errors[call] = result.err();
        for &index in &self.calls[call].items {
            let item = &mut self.items[index];
            let was = item.state;
            item.record(call, family);
            if was != ItemState::Pending || item.state == ItemState::Pending {
                continue;
            }
            self.pending -= 1;
            if matches!(item.state, ItemState::Failed(_)) && self.failed.is_none() {
                self.failed = Some(index);
            }
        }
    }

    /// Returns the decision on the whole write, once there is one. It does not
    /// change afterwards.
    pub fn decision(&self) -> Option<Decision<'_, E>> {
        if let Some(item) = self.failed {
            return match self.outcome(item) {
                Outcome::Failed { family, error } => Some(Decision::Failed {
                    item,
                    family,
                    error,
                }),
                Outcome::Pending | Outcome::Success => None,
            };
        }
        (self.pending == 0).then_some(Decision::Success)
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
            ItemState::Failed(call) => match &self.errors[call] {
                Some((family, error)) => Outcome::Failed {
                    family: *family,
                    error,
                },
                None => Outcome::Pending,
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
            client_errors: 0,
            server_errors: 0,
            last_error: None,
            state: if missing_successes == 0 {
                ItemState::Success
            } else {
                ItemState::Pending
            },
        }
    }

    fn record(&mut self, call: usize, family: Option<Family>) {
        if self.state != ItemState::Pending {
            return;
        }
        self.outstanding -= 1;
        let exceeded = match family {
            None => {
                self.missing_successes -= 1;
                false
            }
            Some(family) => self.count_error(call, family) > self.max_errors,
        };
        if self.missing_successes == 0 {
            self.state = ItemState::Success;
        } else if exceeded || self.outstanding == 0 {
            self.state = ItemState::Failed(self.last_error.unwrap_or(call));
        }
    }

    fn count_error(&mut self, call: usize, family: Family) -> usize {
        self.last_error = Some(call);
        let count = match family {
            Family::Client => &mut self.client_errors,
            Family::Server => &mut self.server_errors,
        };
        *count += 1;
        *count
    }
}
