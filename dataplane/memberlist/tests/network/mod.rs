//! A seeded network of machines in virtual time: packets and streams are delayed, lost, doubled and cut off.

mod beliefs;
mod calendar;
mod host;
mod joining;
mod links;
mod mail;
mod random;
pub(crate) mod seeds;
pub(crate) mod stage;
pub(crate) mod story;
mod trace;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

pub(crate) use pyroscope_memberlist::Origin;
pub(crate) use pyroscope_memberlist::Timestamp;
use pyroscope_memberlist::{Address, Config, Event, Machine, Nonces, Output};

use calendar::Calendar;
pub(crate) use host::{Host, Process, Reaction, Replica};
use host::{Joiner, LEAVE_TIMEOUT, Letter, Phase};
pub(crate) use links::{Conditions, Links};
pub(crate) use random::Random;
pub(crate) use trace::Trace;

/// When virtual time starts.
pub(crate) const START: Duration = Duration::from_secs(1000);
/// How long the opener of a stream waits for the answer.
const STREAM_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Bytes on their way. Copies share them.
#[derive(Debug, Clone)]
pub(crate) enum Parcel {
    Packet(Rc<Vec<u8>>),
    Request {
        bytes: Rc<Vec<u8>>,
        opened: Timestamp,
    },
    Response {
        bytes: Rc<Vec<u8>>,
        opened: Timestamp,
    },
    StreamPing {
        bytes: Rc<Vec<u8>>,
        deadline: Timestamp,
    },
    StreamAck {
        bytes: Rc<Vec<u8>>,
        deadline: Timestamp,
    },
}

enum Happening {
    Arrival(Letter),
    /// A host may have something to do.
    Wake(usize),
}

/// Hosts, the links between them, and the time.
pub(crate) struct Network<R> {
    pub(crate) seed: u64,
    pub(crate) now: Timestamp,
    pub(crate) links: Links,
    pub(crate) random: Random,
    pub(crate) trace: Trace,
    /// How often processes join the others again; `None` leaves joining to the test.
    pub(crate) rejoin: Option<Duration>,
    /// Whether a host without a process says so to those who connect to it.
    pub(crate) refuses_connections: bool,
    /// What machines refused.
    pub(crate) refusals: Vec<String>,
    /// Counts the packets sent.
    pub(crate) packets: u64,
    hosts: Vec<Host<R>>,
    calendar: Calendar<Happening>,
    /// The host that disagreed last, which is asked first.
    doubter: usize,
}

impl<R: Replica> Network<R> {
    /// Creates a network of `size` hosts on which nothing runs.
    pub(crate) fn new(seed: u64, size: usize, conditions: Conditions, trace: Trace) -> Self {
        Self {
            seed,
            now: Timestamp::from_duration(START),
            links: Links::new(size, conditions),
            random: Random::new(seed ^ 0x6E65_7477_6F72_6B00),
            trace,
            rejoin: None,
            refuses_connections: false,
            refusals: Vec::new(),
            packets: 0,
            hosts: (0..size).map(|host| Host::new(address(host, 0))).collect(),
            calendar: Calendar::new(),
            doubter: 0,
        }
    }

    pub(crate) fn name(host: usize) -> String {
        format!("node-{host}")
    }

    pub(crate) fn size(&self) -> usize {
        self.hosts.len()
    }

    /// Returns where a host listens.
    pub(crate) fn address(&self, host: usize) -> Address {
        self.hosts[host].address
    }

    /// Returns a running process.
    pub(crate) fn process(&self, host: usize) -> &Process<R> {
        self.hosts[host].process.as_ref().expect("the host runs")
    }

    pub(crate) fn runs(&self, host: usize) -> bool {
        self.hosts[host].process.is_some()
    }

    pub(crate) fn is_stopped(&self, host: usize) -> bool {
        self.hosts[host].is_stopped()
    }

    /// Returns the numbers of the hosts whose process runs, or is stopped.
    pub(crate) fn running(&self) -> Vec<usize> {
        (0..self.hosts.len())
            .filter(|&host| self.runs(host))
            .collect()
    }

    /// Counts what is on its way.
    pub(crate) fn in_flight(&self) -> usize {
        self.calendar.len()
    }

    /// Gives a host another address, for its next process.
    pub(crate) fn move_away(&mut self, host: usize) {
        let IpOctets { generation, .. } = octets(self.hosts[host].address.socket_addr());
        self.hosts[host].move_to(address(host, generation.wrapping_add(1)));
    }

    /// Starts a process that knows nobody, whatever ran on the host before.
    pub(crate) fn start(&mut self, host: usize, config: Config, replica: R) {
        self.crash(host);
        let seed = self.random.next();
        let machine = match config.keyring {
            None => Machine::new(config, seed, self.now),
            Some(_) => {
                let secret = std::array::from_fn(|_| self.random.next() as u8);
                Machine::encrypted(config, seed, Nonces::from_secret(secret), self.now)
            }
        };
        let machine = machine.expect("the config is valid");
        let place = &mut self.hosts[host];
        place.life += 1;
        let joiner = self.rejoin.map(|_| Joiner::new(self.now, &mut self.random));
        place.process = Some(Process {
            machine,
            replica,
            events: Vec::new(),
            phase: Phase::Running,
            joiner,
        });
        self.act(host, |_, _| Reaction::default());
    }

    /// Ends a process without a word and returns what it replicated.
    pub(crate) fn crash(&mut self, host: usize) -> Option<R> {
        let place = &mut self.hosts[host];
        place.mail = None;
        place.wanted = Timestamp::MAX;
        place.process.take().map(|process| process.replica)
    }

    /// Stops a process, which notices nothing but the time when it goes on.
    pub(crate) fn pause(&mut self, host: usize) {
        let place = &mut self.hosts[host];
        if place.process.is_some() && place.mail.is_none() {
            place.mail = Some(Vec::new());
        }
    }

    pub(crate) fn resume(&mut self, host: usize) {
        let Some(mail) = self.hosts[host].mail.take() else {
            return;
        };
        if self.random.percent(50) {
            self.wake(host);
        }
        for letter in mail {
            // It may have waited for the end of its goodbye only.
            if self.runs(host) {
                self.deliver(host, letter);
            }
        }
        if self.runs(host) {
            self.wake(host);
        }
    }

    /// Lets a process say goodbye; it ends when it has.
    pub(crate) fn leave(&mut self, host: usize) {
        if !self.runs(host) {
            return;
        }
        self.act(host, |process, now| {
            process.phase = Phase::Draining(now + LEAVE_TIMEOUT);
            process.replica.stop(now)
        });
    }

    /// Hands a packet to a host, as if `from` had sent it.
    pub(crate) fn inject(&mut self, from: usize, to: usize, payload: &[u8]) {
        let source = Rc::clone(&self.hosts[from].source);
        self.handle_packet(to, &source, payload);
    }

    /// Acts on a process, if one runs, and does what it asks for.
    pub(crate) fn act_on(
        &mut self,
        host: usize,
        act: impl FnOnce(&mut Process<R>, Timestamp) -> Reaction,
    ) {
        if self.runs(host) {
            self.act(host, act);
        }
    }

    /// Runs until `condition` holds, at most for `limit`; returns how long it took.
    pub(crate) fn run_until(
        &mut self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut(&mut Self) -> bool,
    ) -> Duration {
        let start = self.now;
        while !condition(self) {
            assert!(
                self.now.saturating_since(start) < limit,
                "after {limit:?} still not: {what}"
            );
            self.run_for(LOOK);
        }
        self.now.saturating_since(start)
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some((at, happening)) = self.calendar.next(end) {
            assert!(at >= self.now, "time runs backwards");
            self.now = at;
            match happening {
                Happening::Wake(host) => self.wake_as_scheduled(host),
                Happening::Arrival(letter) => self.arrive(letter),
            }
        }
        self.now = end;
    }

    fn wake_as_scheduled(&mut self, host: usize) {
        let place = &mut self.hosts[host];
        if place.scheduled != self.now {
            return;
        }
        place.scheduled = Timestamp::MAX;
        if place.is_stopped() {
            return;
        }
        if place.wanted <= self.now {
            self.wake(host);
        } else {
            self.schedule(host);
        }
    }

    fn wake(&mut self, host: usize) {
        self.act_on(host, |process, now| {
            if process.machine.next_timeout() <= now {
                process.machine.handle_timeout(now);
                assert!(
                    process.machine.next_timeout() > now,
                    "a machine never sleeps"
                );
            }
            match process.replica.next_timeout() {
                Some(due) if due <= now => process.replica.poll(now),
                _ => Reaction::default(),
            }
        });
        self.join_if_due(host);
    }

    /// Acts on a host's process and does what it asks for, until it asks for nothing.
    fn act(&mut self, host: usize, act: impl FnOnce(&mut Process<R>, Timestamp) -> Reaction) {
        let now = self.now;
        let process = self.hosts[host].process.as_mut().expect("the host runs");
        let reaction = act(process, now);
        self.react(host, reaction);
        self.settle(host);
        let process = self.hosts[host].process.as_mut().expect("the host runs");
        let ends = process.advance(now);
        self.settle(host);
        if ends {
            self.trace.note(now, format_args!("node-{host} has left"));
            self.gone(host);
            return;
        }
        self.hosts[host].wanted = self.process(host).next_timeout();
        self.schedule(host);
    }

    fn gone(&mut self, host: usize) {
        drop(self.crash(host));
    }

    fn react(&mut self, host: usize, reaction: Reaction) {
        let process = self.hosts[host].process.as_mut().expect("the host runs");
        for (origin, broadcast) in reaction.broadcasts {
            process.machine.broadcast(origin, broadcast);
        }
        if reaction.wants_push_pull {
            self.ask_anybody(host);
        }
    }

    fn settle(&mut self, host: usize) {
        let now = self.now;
        while let Some(process) = self.hosts[host].process.as_mut()
            && let Some(output) = process.machine.poll_output()
        {
            match output {
                Output::Packet { to, payload } => {
                    self.trace.hash(&(host, to, &payload));
                    self.send_packet(host, to, payload);
                }
                Output::PushPull { to, .. } => self.open_stream(host, to, false),
                // Machines of the dskit dialect ask for none.
                Output::StreamPing {
                    to,
                    request,
                    deadline,
                    ..
                } => {
                    let bytes = Rc::new(request);
                    self.send(host, to, None, Parcel::StreamPing { bytes, deadline });
                }
                // Too many to keep, and no change of the cluster.
                Output::Event(Event::PingCompleted { .. }) => {}
                Output::Event(event) => {
                    self.trace
                        .note(now, format_args!("node-{host} sees {event:?}"));
                    process.events.push(event);
                }
                Output::UserMessage(message) => {
                    let reaction = process.replica.receive(now, &message);
                    self.react(host, reaction);
                }
            }
        }
    }

    fn schedule(&mut self, host: usize) {
        let place = &mut self.hosts[host];
        if place.wanted < place.scheduled {
            place.scheduled = place.wanted.max(self.now);
            let at = place.scheduled;
            self.calendar.enter(at, Happening::Wake(host));
        }
    }

    fn send_packet(&mut self, from: usize, to: SocketAddr, payload: Vec<u8>) {
        let twice = self.random.percent(self.links.conditions.duplication);
        let parcel = Parcel::Packet(Rc::new(payload));
        self.packets += 1;
        if twice {
            self.send(from, to, None, parcel.clone());
        }
        self.send(from, to, None, parcel);
    }

    fn send(&mut self, from: usize, to: SocketAddr, to_life: Option<u32>, parcel: Parcel) {
        let Some(delay) = self.links.carry(from, octets(to).host, &mut self.random) else {
            return;
        };
        let letter = Letter {
            from,
            from_life: self.hosts[from].life,
            source: Rc::clone(&self.hosts[from].source),
            to,
            to_life,
            parcel,
        };
        self.calendar
            .enter(self.now + delay, Happening::Arrival(letter));
    }
}

impl<R> Drop for Network<R> {
    /// Shows how it came to a failure.
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.trace.tail(400));
        }
    }
}

struct IpOctets {
    generation: u8,
    host: usize,
}

/// Returns the address of a host that has moved `generation` times.
fn address(host: usize, generation: u8) -> Address {
    Address::v4([10, generation, (host >> 8) as u8, host as u8], 7946)
}

fn octets(address: SocketAddr) -> IpOctets {
    match address {
        SocketAddr::V4(address) => {
            let [_, generation, high, low] = address.ip().octets();
            let host = usize::from(high) << 8 | usize::from(low);
            IpOctets { generation, host }
        }
        SocketAddr::V6(address) => panic!("nobody has the address {address}"),
    }
}
