//! How many connections and bytes peers may make this side hold.
//!
//! Whoever comes is let in; when that is too much, the oldest connection of
//! the source with the most makes room. A peer's own connections live for
//! milliseconds, so it is the slow ones of a crowd that go. Bytes are counted
//! alike: the largest message of the source that holds the most goes first.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::IncomingLimits;
use crate::refusals::{Refusals, reason};

/// Bytes of each message that are not counted: small messages of honest peers
/// find room even if large ones of others have used it up.
pub(super) const UNCOUNTED: usize = 16 << 10;

/// Lets connections in and counts what they hold.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: IncomingLimits,
    state: Mutex<State>,
    refusals: Refusals,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// By age.
    holders: BTreeMap<u64, Holder>,
    sources: HashMap<IpAddr, Source>,
    connections: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Holder {
    source: IpAddr,
    bytes: usize,
    /// Gives the connection up; `None` once a whole message was received.
    evict: Option<CancellationToken>,
}

#[derive(Debug, Default)]
struct Source {
    holders: usize,
    connections: usize,
    bytes: usize,
}

/// A connection that was let in, or the message that it carried.
#[derive(Debug)]
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    id: u64,
    evicted: CancellationToken,
}

impl Admission {
    pub(crate) fn new(limits: IncomingLimits, refusals: Refusals) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::default(),
            refusals,
        })
    }

    /// Lets a connection of a peer in.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Admitted {
        let evicted = CancellationToken::new();
        let mut state = self.state.lock();
        let source = source(peer);
        if state.connections_of(source) >= self.limits.connections_per_source {
            self.refuse(state.evict_oldest(source), reason::CROWDED);
        } else if state.connections >= self.limits.connections {
            let crowd = state.largest_source(|source| source.connections);
            let victim = crowd.and_then(|crowd| state.evict_oldest(crowd));
            self.refuse(victim, reason::CROWDED);
        }
        let id = state.add(source, Some(evicted.clone()));
        Admitted {
            admission: Arc::clone(self),
            id,
            evicted,
        }
    }

    /// Counts a message that this side asked for, or that came in one piece.
    pub(crate) fn expect(self: &Arc<Self>, peer: IpAddr) -> Admitted {
        Admitted {
            admission: Arc::clone(self),
            id: self.state.lock().add(source(peer), None),
            evicted: CancellationToken::new(),
        }
    }

    fn refuse(&self, victim: Option<CancellationToken>, reason: &'static str) {
        if let Some(victim) = victim {
            victim.cancel();
            self.refusals.count(reason);
        }
    }
}

impl Admitted {
    /// Returns what is cancelled when the connection has to make room.
    pub(crate) fn eviction(&self) -> CancellationToken {
        self.evicted.clone()
    }

    /// Counts a message as `bytes` large; `false` when there is no room.
    pub(crate) fn grow_to(&self, bytes: usize) -> bool {
        let counted = bytes.saturating_sub(UNCOUNTED);
        let mut state = self.admission.state.lock();
        let held = state.bytes_of(self.id);
        if counted <= held {
            return true;
        }
        let limit = self.admission.limits.bytes;
        if counted > limit {
            return false;
        }
        while state.bytes - held + counted > limit {
            match state.evict_largest(self.id) {
                None => return false,
                victim => self.admission.refuse(victim, reason::NO_MEMORY),
            }
        }
        state.set_bytes(self.id, counted);
        true
    }

    /// Notes that everything was received: from now on it keeps its room.
    pub(crate) fn received(&self) {
        let mut state = self.admission.state.lock();
        state.take_evict(self.id);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.state.lock().remove(self.id);
    }
}

impl State {
    fn add(&mut self, source: IpAddr, evict: Option<CancellationToken>) -> u64 {
        let id = self.next;
        self.next += 1;
        let connections = usize::from(evict.is_some());
        let entry = self.sources.entry(source).or_default();
        entry.holders += 1;
        entry.connections += connections;
        self.connections += connections;
        let holder = Holder {
            source,
            bytes: 0,
            evict,
        };
        self.holders.insert(id, holder);
        id
    }

    fn remove(&mut self, id: u64) {
        self.take_evict(id);
        self.set_bytes(id, 0);
        let Some(holder) = self.holders.remove(&id) else {
            return;
        };
        if let Some(source) = self.sources.get_mut(&holder.source) {
            source.holders -= 1;
            if source.holders == 0 {
                self.sources.remove(&holder.source);
            }
        }
    }

    fn bytes_of(&self, id: u64) -> usize {
        self.holders.get(&id).map_or(0, |holder| holder.bytes)
    }

    fn connections_of(&self, source: IpAddr) -> usize {
        let source = self.sources.get(&source);
        source.map_or(0, |source| source.connections)
    }

    fn set_bytes(&mut self, id: u64, bytes: usize) {
        let Some(holder) = self.holders.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut holder.bytes, bytes);
        self.bytes = self.bytes - before + bytes;
        if let Some(source) = self.sources.get_mut(&holder.source) {
            source.bytes = source.bytes - before + bytes;
        }
    }

    /// Makes a holder one that cannot be evicted.
    fn take_evict(&mut self, id: u64) -> Option<CancellationToken> {
        let holder = self.holders.get_mut(&id)?;
        let evict = holder.evict.take()?;
        self.connections -= 1;
        if let Some(source) = self.sources.get_mut(&holder.source) {
            source.connections -= 1;
        }
        Some(evict)
    }

    fn largest_source(&self, size: impl Fn(&Source) -> usize) -> Option<IpAddr> {
        let sources = self.sources.iter();
        let largest = sources.max_by_key(|(_, source)| size(source))?;
        Some(*largest.0)
    }

    fn evict_oldest(&mut self, source: IpAddr) -> Option<CancellationToken> {
        let mut holders = self.holders.iter();
        let (&id, _) =
            holders.find(|(_, holder)| holder.source == source && holder.evict.is_some())?;
        self.take_evict(id)
    }

    /// Makes room for `wanting`, unless that would be itself to go.
    fn evict_largest(&mut self, wanting: u64) -> Option<CancellationToken> {
        let source = self.largest_source(|source| source.bytes)?;
        let evictable = self
            .holders
            .iter()
            .filter(|(_, holder)| holder.source == source && holder.evict.is_some());
        let (&id, _) = evictable.max_by_key(|(_, holder)| holder.bytes)?;
        if id == wanting || self.bytes_of(id) == 0 {
            return None;
        }
        // Its task ends right away; nobody has to wait for that.
        self.set_bytes(id, 0);
        self.take_evict(id)
    }
}

/// What counts as one source: an IPv4 address, or an IPv6 network of 64 bits,
/// which is what one host may have.
fn source(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CROWD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn admission(connections: usize, per_source: usize, bytes: usize) -> Arc<Admission> {
        let limits = IncomingLimits {
            connections,
            connections_per_source: per_source,
            bytes,
        };
        Admission::new(limits, Refusals::default())
    }

    fn evicted(admitted: &[Admitted]) -> Vec<bool> {
        let evicted = |admitted: &Admitted| admitted.evicted.is_cancelled();
        admitted.iter().map(evicted).collect()
    }

    #[test]
    fn the_oldest_connection_of_a_crowd_makes_room() {
        let admission = admission(4, 3, 0);
        let peer = admission.admit(PEER);
        let crowd: Vec<Admitted> = (0..4).map(|_| admission.admit(CROWD)).collect();
        assert_eq!(evicted(&crowd), [true, false, false, false], "per source");
        let other = admission.admit(PEER);
        assert_eq!(evicted(&crowd), [true, true, false, false], "in all");
        assert!(!other.evicted.is_cancelled() && !peer.evicted.is_cancelled());
        drop((crowd, other, peer));
        let state = admission.state.lock();
        assert!(state.holders.is_empty() && state.sources.is_empty());
        assert_eq!((state.connections, state.bytes), (0, 0));
    }

    #[test]
    fn the_largest_message_makes_room_and_small_ones_always_fit() {
        let admission = admission(9, 9, 100);
        let (first, second) = (admission.admit(CROWD), admission.admit(CROWD));
        assert!(first.grow_to(UNCOUNTED + 60) && second.grow_to(UNCOUNTED + 40));
        assert!(!first.grow_to(UNCOUNTED + 61), "the largest is itself");
        let peer = admission.admit(PEER);
        assert!(peer.grow_to(UNCOUNTED) && peer.grow_to(UNCOUNTED + 50));
        assert!(first.evicted.is_cancelled() && !second.evicted.is_cancelled());
        second.received();
        peer.received();
        let third = admission.admit(CROWD);
        assert!(!third.grow_to(UNCOUNTED + 20), "whole messages stay");
        drop(second);
        assert!(third.grow_to(UNCOUNTED + 20) && third.grow_to(1));
        assert!(!third.grow_to(usize::MAX));
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let ip = |text: &str| source(text.parse().unwrap());
        assert_eq!(ip("2001:db8::1"), ip("2001:db8::ffff:2"));
        assert_ne!(ip("2001:db8::1"), ip("2001:db8:0:1::1"));
        assert_eq!(ip("::ffff:10.0.0.1"), ip("10.0.0.1"));
    }
}
