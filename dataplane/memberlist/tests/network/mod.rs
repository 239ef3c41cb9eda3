//! A seeded network of machines in virtual time: packets and streams are delayed, lost, doubled and cut off.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pyroscope_memberlist::{
    Address, Broadcast, Config, Event, Machine, NodeState, Origin, Output, PushPull, StreamMessage,
    StreamReader, Timestamp,
};

/// How badly the network treats what is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// Share of packets and streams that are lost, in percent.
    pub(crate) loss: u64,
    /// Share of packets that arrive twice, in percent.
    pub(crate) duplication: u64,
    /// Longest time on the way.
    pub(crate) delay: Duration,
}

impl Conditions {
    pub(crate) const GOOD: Self = Self {
        loss: 0,
        duplication: 0,
        delay: Duration::from_millis(5),
    };
    pub(crate) const BAD: Self = Self {
        loss: 10,
        duplication: 5,
        delay: Duration::from_millis(300),
    };
}

/// One machine with its driver.
pub(crate) struct Host {
    pub(crate) machine: Machine,
    /// What happened, as its driver was told.
    pub(crate) events: Vec<Event>,
    /// The driver's replicated state: words that everybody should know.
    pub(crate) words: BTreeSet<String>,
}

/// What is on its way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Parcel {
    Packet(Vec<u8>),
    Request(Vec<u8>),
    Response(Vec<u8>),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Delivery {
    at: Timestamp,
    number: u64,
    from: usize,
    to: usize,
    parcel: Parcel,
}

pub(crate) struct Network {
    pub(crate) seed: u64,
    pub(crate) now: Timestamp,
    pub(crate) conditions: Conditions,
    hosts: Vec<Option<Host>>,
    /// Hosts reach each other if they are on the same side.
    sides: Vec<u8>,
    on_the_way: BinaryHeap<Reverse<Delivery>>,
    sent: u64,
    random: u64,
    trace: DefaultHasher,
}

impl Network {
    /// Creates a network of `size` hosts, none of which knows another.
    pub(crate) fn new(seed: u64, size: usize, conditions: Conditions) -> Self {
        let mut network = Self {
            seed,
            now: Timestamp::from_duration(Duration::from_secs(1000)),
            conditions,
            hosts: Vec::new(),
            sides: vec![0; size],
            on_the_way: BinaryHeap::new(),
            sent: 0,
            random: seed,
            trace: DefaultHasher::new(),
        };
        network.hosts.resize_with(size, || None);
        (0..size).for_each(|host| network.start(host));
        network
    }

    /// Creates a network whose hosts all joined host 0 and know each other.
    pub(crate) fn joined(seed: u64, size: usize, conditions: Conditions) -> Self {
        let mut network = Self::new(seed, size, conditions);
        network.join_all(0);
        network.run_until(
            "everybody joined",
            Duration::from_secs(300),
            Self::converged,
        );
        network
    }

    pub(crate) fn name(host: usize) -> String {
        format!("node-{host}")
    }

    fn address(host: usize) -> Address {
        Address::v4([10, 0, (host >> 8) as u8, host as u8], 7946)
    }

    /// Returns a running host.
    pub(crate) fn host(&self, host: usize) -> &Host {
        self.hosts[host].as_ref().expect("the host runs")
    }

    fn host_mut(&mut self, host: usize) -> &mut Host {
        self.hosts[host].as_mut().expect("the host runs")
    }

    /// Returns the numbers of the hosts that run.
    pub(crate) fn running(&self) -> Vec<usize> {
        (0..self.hosts.len())
            .filter(|&host| self.hosts[host].is_some())
            .collect()
    }

    /// Starts a host that knows nothing, whatever it was before.
    pub(crate) fn start(&mut self, host: usize) {
        let mut config = Config::new(Self::name(host), Self::address(host));
        config.label = "simulation".to_owned();
        let seed = self.random(u64::MAX);
        let machine = Machine::new(config, seed, self.now).expect("the config is valid");
        self.hosts[host] = Some(Host {
            machine,
            events: Vec::new(),
            words: BTreeSet::new(),
        });
    }

    /// Stops a host without a word.
    pub(crate) fn crash(&mut self, host: usize) {
        self.hosts[host] = None;
    }

    /// Lets a host exchange state with another, as a joiner.
    pub(crate) fn join(&mut self, host: usize, with: usize) {
        self.open_stream(host, with, true);
    }

    /// Lets every host join `with`, again and again until it worked: seeds are retried.
    pub(crate) fn join_all(&mut self, with: usize) {
        for _ in 0..100 {
            let alone: Vec<usize> = self
                .running()
                .into_iter()
                .filter(|&host| {
                    host != with && self.host(host).machine.member(&Self::name(with)).is_none()
                })
                .collect();
            if alone.is_empty() {
                return;
            }
            alone.into_iter().for_each(|host| self.join(host, with));
            self.run_for(Duration::from_secs(2));
        }
        panic!("seed {}: joining did not work", self.seed);
    }

    /// Cuts the network: hosts below `border` do not reach the others.
    pub(crate) fn partition(&mut self, border: usize) {
        for (host, side) in self.sides.iter_mut().enumerate() {
            *side = u8::from(host >= border);
        }
    }

    pub(crate) fn heal(&mut self) {
        self.sides.fill(0);
    }

    /// Lets a host say a word that everybody should hear.
    pub(crate) fn say(&mut self, host: usize, word: &str) {
        self.learn(host, word, Origin::Local);
        self.drive(host, |_, _| {});
    }

    /// Hands a packet to a host, as if `from` had sent it.
    pub(crate) fn inject(&mut self, from: usize, to: usize, payload: &[u8]) {
        let parcel = Parcel::Packet(payload.to_vec());
        self.deliver(from, to, parcel);
    }

    pub(crate) fn leave(&mut self, host: usize) {
        self.drive(host, |machine, now| machine.leave(now));
    }

    /// Tells whether each running host knows exactly the running hosts as alive.
    pub(crate) fn converged(&self) -> bool {
        let running: BTreeSet<String> = self.running().into_iter().map(Self::name).collect();
        self.running().into_iter().all(|host| {
            let members = self.host(host).machine.members();
            let alive = members.filter(|node| node.state == NodeState::Alive);
            alive
                .map(|node| node.name.to_string())
                .collect::<BTreeSet<_>>()
                == running
        })
    }

    /// Runs until `condition` holds, at most for `limit`; returns how long it took.
    pub(crate) fn run_until(
        &mut self,
        what: &str,
        limit: Duration,
        condition: impl Fn(&Self) -> bool,
    ) -> Duration {
        let start = self.now;
        while !condition(self) {
            assert!(
                self.now.saturating_since(start) < limit,
                "seed {}: after {limit:?} still not: {what}",
                self.seed
            );
            self.run_for(Duration::from_millis(100));
        }
        self.now.saturating_since(start)
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(next) = self.next_step().filter(|next| *next <= end) {
            assert!(next >= self.now, "seed {}: time runs backwards", self.seed);
            self.now = next;
            self.step();
        }
        self.now = end;
    }

    /// Returns a number that stands for everything that happened so far.
    pub(crate) fn trace(&self) -> u64 {
        self.trace.finish()
    }

    /// Returns a random number below `bound`.
    pub(crate) fn random(&mut self, bound: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.random >> 33) % bound
    }

    fn next_step(&self) -> Option<Timestamp> {
        let wake = self
            .hosts
            .iter()
            .flatten()
            .map(|host| host.machine.next_timeout());
        let delivery = self.on_the_way.peek().map(|Reverse(delivery)| delivery.at);
        wake.chain(delivery).min()
    }

    fn step(&mut self) {
        while let Some(Reverse(delivery)) = self.on_the_way.peek() {
            if delivery.at > self.now {
                break;
            }
            let Some(Reverse(delivery)) = self.on_the_way.pop() else {
                break;
            };
            let reachable = self.sides[delivery.from] == self.sides[delivery.to];
            if reachable && self.hosts[delivery.to].is_some() {
                self.deliver(delivery.from, delivery.to, delivery.parcel);
            }
        }
        for host in self.running() {
            if self.host(host).machine.next_timeout() <= self.now {
                self.drive(host, |machine, now| machine.handle_timeout(now));
                let next = self.host(host).machine.next_timeout();
                assert!(next > self.now, "seed {}: {host} never sleeps", self.seed);
            }
        }
    }

    fn deliver(&mut self, from: usize, to: usize, parcel: Parcel) {
        match parcel {
            Parcel::Packet(payload) => {
                let source = Self::address(from).to_string();
                let seed = self.seed;
                self.drive(to, |machine, now| {
                    let result = machine.handle_packet(now, &source, &payload);
                    assert_eq!(result, Ok(()), "seed {seed}");
                });
            }
            Parcel::Request(bytes) => {
                let remote = read(self.host(to).machine.request_reader(), &bytes);
                let state = self.user_state(to);
                let response = self
                    .host(to)
                    .machine
                    .push_pull_response(remote.join, &state);
                self.send(to, from, Parcel::Response(response));
                self.merge(to, &remote);
            }
            Parcel::Response(bytes) => {
                let remote = read(self.host(to).machine.response_reader(), &bytes);
                self.merge(to, &remote);
            }
        }
    }

    fn merge(&mut self, host: usize, remote: &PushPull) {
        let seed = self.seed;
        self.drive(host, |machine, now| {
            assert_eq!(machine.handle_push_pull(now, remote), Ok(()), "seed {seed}");
        });
        for word in String::from_utf8_lossy(&remote.user_state).lines() {
            self.learn(host, word, Origin::Forwarded);
        }
    }

    /// Acts on a host's machine and does what it asks for.
    fn drive(&mut self, host: usize, act: impl FnOnce(&mut Machine, Timestamp)) {
        let now = self.now;
        act(&mut self.host_mut(host).machine, now);
        while let Some(output) = self.host_mut(host).machine.poll_output() {
            self.record(&(now, host, &output));
            match output {
                Output::Packet { to, payload } => self.send_packet(host, to, &payload),
                Output::PushPull { to, .. } => self.open_stream(host, host_at(to), false),
                Output::Event(event) => self.host_mut(host).events.push(event),
                Output::UserMessage(word) => {
                    self.learn(host, &String::from_utf8_lossy(&word), Origin::Forwarded);
                }
            }
        }
    }

    fn send_packet(&mut self, from: usize, to: SocketAddr, payload: &[u8]) {
        let copies = 1 + usize::from(self.random(100) < self.conditions.duplication);
        for _ in 0..copies {
            self.send(from, host_at(to), Parcel::Packet(payload.to_vec()));
        }
    }

    fn open_stream(&mut self, from: usize, to: usize, join: bool) {
        let state = self.user_state(from);
        let request = self.host(from).machine.push_pull_request(join, &state);
        self.send(from, to, Parcel::Request(request));
    }

    fn send(&mut self, from: usize, to: usize, parcel: Parcel) {
        let reachable = to < self.hosts.len() && self.sides[from] == self.sides[to];
        if !reachable || self.random(100) < self.conditions.loss {
            return;
        }
        let delay = Duration::from_nanos(self.random(self.conditions.delay.as_nanos() as u64));
        self.sent += 1;
        self.on_the_way.push(Reverse(Delivery {
            at: self.now + delay,
            number: self.sent,
            from,
            to,
            parcel,
        }));
    }

    fn learn(&mut self, host: usize, word: &str, origin: Origin) {
        if !self.host_mut(host).words.insert(word.to_owned()) {
            return;
        }
        let id: Arc<str> = word.into();
        let broadcast = Broadcast {
            key: "words".into(),
            ids: BTreeSet::from([id]),
            version: self.host(host).words.len() as u64,
            payload: Bytes::from(word.to_owned()),
        };
        self.host_mut(host).machine.broadcast(origin, broadcast);
    }

    fn user_state(&self, host: usize) -> Vec<u8> {
        let words: Vec<&str> = self.host(host).words.iter().map(String::as_str).collect();
        words.join("\n").into_bytes()
    }

    fn record(&mut self, what: &impl Debug) {
        format!("{what:?}").hash(&mut self.trace);
    }
}

fn host_at(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(address) => {
            let [.., high, low] = address.ip().octets();
            usize::from(high) << 8 | usize::from(low)
        }
        SocketAddr::V6(address) => panic!("nobody has the address {address}"),
    }
}

/// Reads a stream in pieces, as a socket hands it out.
fn read(mut reader: StreamReader, bytes: &[u8]) -> PushPull {
    for piece in bytes.chunks(97) {
        if let Some(message) = reader.feed(piece).expect("the stream is valid") {
            match message {
                StreamMessage::PushPull(state) => return state,
                other => panic!("not a push/pull: {other:?}"),
            }
        }
    }
    panic!("the stream is not complete");
}
