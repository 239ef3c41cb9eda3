//! A book of every profile that was pushed and of what became of it, which says
//! whether reads are right.
//!
//! Each profile has a function of its own, so that a lost, doubled, altered or
//! invented one can be told from any other, and a random value.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of the ledger"
)]

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use proto::google::v1::Profile;

pub mod endpoints;
pub mod load;
pub mod read;

use endpoints::{Excuse, Excused};

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// No answer yet: a read may find its profiles or not.
    UnderWay,
    /// Answered with success: each read that begins later finds them.
    Acknowledged,
    /// Answered with an error or not at all: some replicas may have them.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    service: usize,
    value: i64,
    fate: Fate,
}

/// What was pushed to the services of one test.
#[derive(Debug)]
pub struct Ledger {
    name: String,
    services: usize,
    began: Instant,
    entries: Mutex<Vec<Entry>>,
    faults: Mutex<Vec<String>>,
    /// While pushes may fail, because more is broken than a write tolerates.
    pub pushes: Excuse,
    /// While reads may fail, because more is broken than a read tolerates.
    pub reads: Excuse,
}

/// Faults that are kept; one is enough to fail.
const MAX_FAULTS: usize = 50;

impl Ledger {
    /// Begins an empty ledger for `services` services, named after `name`.
    pub fn new(name: &str, services: usize) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            services,
            began: Instant::now(),
            entries: Mutex::default(),
            faults: Mutex::default(),
            pushes: Excuse::default(),
            reads: Excuse::default(),
        })
    }

    pub fn services(&self) -> usize {
        self.services
    }

    /// Returns the name of a service.
    pub fn service(&self, number: usize) -> String {
        format!("{}-{number}", self.name)
    }

    /// Enters a profile of a service that is about to be pushed; its number is
    /// in the name of its function.
    pub fn begin(&self, service: usize, value: i64) -> usize {
        let mut entries = self.entries.lock();
        entries.push(Entry {
            service,
            value,
            fate: Fate::UnderWay,
        });
        entries.len() - 1
    }

    /// Enters what became of profiles.
    pub fn close(&self, numbers: &[usize], fate: Fate) {
        let mut entries = self.entries.lock();
        for &number in numbers {
            entries[number].fate = fate;
        }
    }

    /// Returns how many profiles have a fate.
    pub fn count(&self, fate: Fate) -> usize {
        let entries = self.entries.lock();
        entries.iter().filter(|entry| entry.fate == fate).count()
    }

    /// Returns the time since the ledger was begun, for messages.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Keeps what should not have happened.
    pub fn accuse(&self, what: impl fmt::Display) {
        let mut faults = self.faults.lock();
        if faults.len() < MAX_FAULTS {
            faults.push(format!("at {:.3?}: {what}", self.elapsed()));
        }
    }

    /// Returns what should not have happened.
    pub fn faults(&self) -> Vec<String> {
        self.faults.lock().clone()
    }

    /// Allows pushes and reads to fail for as long as the result lives.
    pub fn excuse_all(&self) -> (Excused, Excused) {
        (self.pushes.begin(), self.reads.begin())
    }

    /// Notes what a read that begins now has to find, of one service or of all.
    pub fn expect(self: &Arc<Self>, service: Option<usize>) -> Expectation {
        let entries = self.entries.lock();
        let acknowledged = entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.fate == Fate::Acknowledged)
            .filter(|(_, entry)| service.is_none_or(|service| entry.service == service))
            .map(|(number, _)| number)
            .collect();
        drop(entries);
        Expectation {
            ledger: Arc::clone(self),
            service,
            acknowledged,
            noted: self.elapsed(),
        }
    }
}

/// What a read has to find.
#[derive(Debug)]
pub struct Expectation {
    ledger: Arc<Ledger>,
    pub service: Option<usize>,
    /// Profiles acknowledged before the read began.
    acknowledged: Vec<usize>,
    noted: Duration,
}

impl Expectation {
    /// Checks the value that a read found for the function of each profile.
    pub fn check_functions(&self, found: &BTreeMap<usize, i64>) -> Result<(), String> {
        let entries = self.ledger.entries.lock();
        let mut wrong = Wrong::default();
        for number in &self.acknowledged {
            if !found.contains_key(number) {
                wrong.missing.push(*number);
            }
        }
        for (number, value) in found {
            match entries.get(*number) {
                Some(entry) if self.service.is_some_and(|it| it != entry.service) => {
                    wrong.other.push(format!("p{number} is of another service"));
                }
                Some(entry) if entry.value != *value => wrong.other.push(format!(
                    "p{number} was pushed with {} and read with {value}{}",
                    entry.value,
                    if *value == 2 * entry.value {
                        ": it counts twice"
                    } else {
                        ""
                    }
                )),
                Some(_) => {}
                None => wrong.other.push(format!("p{number} was never pushed")),
            }
        }
        drop(entries);
        wrong.verdict(self)
    }

    /// Checks the sum of values that a read found for each service.
    pub fn check_sums(&self, found: &BTreeMap<usize, i64>) -> Result<(), String> {
        let entries = self.ledger.entries.lock();
        let mut least: BTreeMap<usize, i64> = BTreeMap::new();
        let mut most: BTreeMap<usize, i64> = BTreeMap::new();
        for number in &self.acknowledged {
            *least.entry(entries[*number].service).or_default() += entries[*number].value;
        }
        for entry in entries.iter() {
            *most.entry(entry.service).or_default() += entry.value;
        }
        drop(entries);
        let mut wrong = Wrong::default();
        for service in least.keys().chain(found.keys()) {
            let of = |sums: &BTreeMap<usize, i64>| sums.get(service).copied().unwrap_or(0);
            if self.service.is_some_and(|it| it != *service) {
                wrong
                    .other
                    .push(format!("service {service} was not asked for"));
            } else if !(of(&least)..=of(&most)).contains(&of(found)) {
                wrong.other.push(format!(
                    "service {service} sums to {} and not to {} to {}",
                    of(found),
                    of(&least),
                    of(&most)
                ));
            }
        }
        wrong.other.sort();
        wrong.other.dedup();
        wrong.verdict(self)
    }

    /// Checks the names of services that a read found.
    pub fn check_services(&self, found: &[String]) -> Result<(), String> {
        let entries = self.ledger.entries.lock();
        let mut wrong = Wrong::default();
        for number in &self.acknowledged {
            let service = self.ledger.service(entries[*number].service);
            if !found.contains(&service) {
                wrong.other.push(format!("service {service} is not listed"));
            }
        }
        drop(entries);
        wrong.other.dedup();
        wrong.verdict(self)
    }
}

#[derive(Debug, Default)]
struct Wrong {
    missing: Vec<usize>,
    other: Vec<String>,
}

impl Wrong {
    fn verdict(&self, expectation: &Expectation) -> Result<(), String> {
        if self.missing.is_empty() && self.other.is_empty() {
            return Ok(());
        }
        let first: Vec<String> = self
            .missing
            .iter()
            .take(5)
            .map(|n| format!("p{n}"))
            .collect();
        Err(format!(
            "of {} profiles acknowledged before {:.3?}, {} are missing ({}); {}",
            expectation.acknowledged.len(),
            expectation.noted,
            self.missing.len(),
            first.join(", "),
            self.other
                .iter()
                .take(5)
                .cloned()
                .collect::<Vec<_>>()
                .join("; ")
        ))
    }
}

/// Sums the values of each profile's function in a merged pprof.
pub fn functions_of(profile: &Profile) -> BTreeMap<usize, i64> {
    let string = |index: i64| {
        profile
            .string_table
            .get(index as usize)
            .map_or("", String::as_str)
    };
    let names: BTreeMap<u64, &str> = profile
        .function
        .iter()
        .map(|function| (function.id, string(function.name)))
        .collect();
    let leaves: BTreeMap<u64, &str> = profile
        .location
        .iter()
        .filter_map(|location| {
            let line = location.line.first()?;
            Some((location.id, *names.get(&line.function_id)?))
        })
        .collect();
    let mut found = BTreeMap::new();
    for sample in &profile.sample {
        let leaf = sample.location_id.first().and_then(|id| leaves.get(id));
        if let Some(number) = leaf.and_then(|name| number_of(name)) {
            *found.entry(number).or_default() += sample.value.first().copied().unwrap_or(0);
        }
    }
    found
}

/// Reads the number of a profile from the name of its function.
pub fn number_of(function: &str) -> Option<usize> {
    function.strip_prefix('p')?.parse().ok()
}
