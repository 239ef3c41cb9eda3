//! How processes find each other: seeds, pauses between attempts, and exchanges of state.

use std::net::SocketAddr;
use std::time::Duration;

use pyroscope_memberlist::NodeState;

use super::host::{Joiner, Replica};
use super::{Network, Parcel, Random, Timestamp};

/// How many seeds are asked at a time, until one has answered.
const SEEDS_ASKED: usize = 3;
/// First and longest pause between attempts to join.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl Joiner {
    /// Makes its first attempt within the shortest pause.
    pub(super) fn new(now: Timestamp, random: &mut Random) -> Self {
        Self {
            next: now + random.between(Duration::ZERO, PAUSES.0),
            backoff: PAUSES.0,
            joined: false,
        }
    }
}

impl<R: Replica> Network<R> {
    /// Lets a host exchange state with another, as a joiner.
    pub(crate) fn join(&mut self, host: usize, with: usize) {
        let to = self.hosts[with].address.socket_addr();
        self.open_stream(host, to, true);
    }

    pub(super) fn join_if_due(&mut self, host: usize) {
        let now = self.now;
        let process = self.hosts[host].process.as_mut();
        let joiner = process.and_then(|process| process.joiner.as_mut());
        let (Some(joiner), Some(rejoin)) = (joiner, self.rejoin) else {
            return;
        };
        if joiner.next > now {
            return;
        }
        if joiner.joined {
            joiner.next = now + rejoin;
        } else {
            joiner.next = now + joiner.backoff;
            joiner.backoff = (joiner.backoff * 2).min(PAUSES.1);
        }
        let count = if joiner.joined { 1 } else { SEEDS_ASKED };
        for seed in self.seeds_for(host, count) {
            self.open_stream(host, seed, true);
        }
        self.hosts[host].wanted = self.process(host).next_timeout();
        self.schedule(host);
    }

    /// Chooses among the addresses that a name server would return.
    fn seeds_for(&mut self, host: usize, count: usize) -> Vec<SocketAddr> {
        let others: Vec<usize> = self
            .running()
            .into_iter()
            .filter(|&other| other != host)
            .collect();
        let chosen = self.random.sample(others.len(), count);
        chosen
            .into_iter()
            .map(|at| self.hosts[others[at]].address.socket_addr())
            .collect()
    }

    pub(super) fn ask_anybody(&mut self, host: usize) {
        let own = self.address(host);
        let members = self.process(host).machine.members();
        let others: Vec<SocketAddr> = members
            .filter(|node| node.state == NodeState::Alive && node.address != own)
            .map(|node| node.address.socket_addr())
            .collect();
        if !others.is_empty() {
            let to = *self.random.pick(&others);
            self.open_stream(host, to, false);
        }
    }

    pub(super) fn open_stream(&mut self, from: usize, to: SocketAddr, join: bool) {
        let process = self.hosts[from].process.as_mut().expect("the host runs");
        let state = process.replica.state();
        let bytes = process.machine.push_pull_request(join, &state);
        let opened = self.now;
        self.send(
            from,
            to,
            None,
            Parcel::Request {
                bytes: bytes.into(),
                opened,
            },
        );
    }
}
