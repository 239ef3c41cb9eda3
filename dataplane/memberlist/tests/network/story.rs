//! Stories: what befalls a cluster, written by a seed before it happens.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::links::Conditions;
use super::random::Random;
use super::trace::brief;

/// With what a process starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// What the host's last process left.
    Own,
    Empty,
    /// A copy of another host's, as of a volume that was cloned.
    CopyOf(usize),
}

/// One thing that befalls a cluster.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Start {
        host: usize,
        disk: Disk,
        elsewhere: bool,
    },
    Crash(usize),
    Leave(usize),
    Pause(usize),
    Resume(usize),
    Cut(Rc<Vec<(usize, usize)>>),
    Mend(Rc<Vec<(usize, usize)>>),
    Weather(Conditions),
    SlowDown(usize, Duration),
    /// The wall clock of a host is this many seconds off from now on.
    TurnClock(usize, i64),
    /// A host changes the replicated state.
    Say(usize),
    /// Processes that start from now on have the next configuration of a roll-out.
    RollOut,
    /// A host takes a step of a key rotation while it runs: install, use, remove.
    TurnKey(usize, usize),
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start {
                host,
                disk,
                elsewhere,
            } => {
                let place = if *elsewhere { " at a new address" } else { "" };
                write!(f, "node-{host} starts with disk {disk:?}{place}")
            }
            Self::Crash(host) => write!(f, "node-{host} crashes"),
            Self::Leave(host) => write!(f, "node-{host} leaves"),
            Self::Pause(host) => write!(f, "node-{host} stops"),
            Self::Resume(host) => write!(f, "node-{host} goes on"),
            Self::Cut(links) => write!(f, "{} links are cut: {:?}…", links.len(), first(links)),
            Self::Mend(links) => write!(f, "{} links are mended: {:?}…", links.len(), first(links)),
            Self::Weather(conditions) => write!(f, "the network: {conditions}"),
            Self::SlowDown(host, by) => write!(f, "node-{host} is {} slower", brief(*by)),
            Self::TurnClock(host, by) => write!(f, "node-{host}'s clock is {by} s off"),
            Self::Say(host) => write!(f, "node-{host} says something"),
            Self::TurnKey(host, step) => {
                write!(f, "node-{host} takes step {step} of a key rotation")
            }
            Self::RollOut => write!(f, "the next configuration is rolled out"),
        }
    }
}

fn first(links: &[(usize, usize)]) -> &[(usize, usize)] {
    &links[..links.len().min(8)]
}

/// A whole schedule, in the order of time.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) seed: u64,
    pub(crate) size: usize,
    /// The conditions at the start.
    pub(crate) conditions: Conditions,
    /// How often processes join the others again.
    pub(crate) rejoin: Duration,
    /// Whether a host without a process says so to those who connect to it.
    pub(crate) refuses_connections: bool,
    /// What happens, and when after the start.
    pub(crate) acts: Vec<(Duration, Act)>,
    /// When everything is healed.
    pub(crate) end: Duration,
}

impl Story {
    /// Writes the story of `seed` about `size` hosts.
    pub(crate) fn new(seed: u64, size: usize) -> Self {
        let mut random = Random::new(seed);
        let conditions = weather(&mut random);
        let mut author = Author {
            size,
            random,
            acts: Vec::new(),
        };
        author.boot();
        let incidents = 1 + author.random.below(6);
        for _ in 0..incidents {
            author.incident();
        }
        let Author {
            mut random,
            mut acts,
            ..
        } = author;
        acts.sort_by_key(|(at, _)| *at);
        let last = acts.last().map_or(Duration::ZERO, |(at, _)| *at);
        Self {
            seed,
            size,
            conditions,
            rejoin: random.between(seconds(20), seconds(90)),
            refuses_connections: random.percent(50),
            end: last + random.between(Duration::ZERO, seconds(10)),
            acts,
        }
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn weather(random: &mut Random) -> Conditions {
    match random.below(4) {
        0 => Conditions::GOOD,
        1 => Conditions::BAD,
        _ => Conditions {
            loss: random.below(31),
            duplication: random.below(11),
            delay: random.between(Duration::from_millis(1), seconds(1)),
        },
    }
}

/// Writes incidents.
struct Author {
    size: usize,
    random: Random,
    acts: Vec<(Duration, Act)>,
}

impl Author {
    fn at(&mut self, at: Duration, act: Act) {
        self.acts.push((at, act));
    }

    /// A time at which something may begin.
    fn some_time(&mut self) -> Duration {
        self.random.between(seconds(1), seconds(60))
    }

    /// Some hosts: often one, seldom many.
    fn some_hosts(&mut self) -> Vec<usize> {
        let most = match self.random.below(4) {
            0 | 1 => 1,
            2 => 3.min(self.size),
            _ => (self.size / 2).max(1),
        };
        let count = 1 + self.random.index(most);
        self.random.sample(self.size, count)
    }

    fn boot(&mut self) {
        let spread = *self.random.pick(&[0, 5, 30]);
        for host in 0..self.size {
            let at = self.random.between(Duration::ZERO, seconds(spread));
            let elsewhere = false;
            let disk = Disk::Empty;
            self.at(
                at,
                Act::Start {
                    host,
                    disk,
                    elsewhere,
                },
            );
        }
        if self.random.percent(50) {
            for host in self.some_hosts() {
                self.turn_clock(Duration::ZERO, host);
            }
        }
        // Islands: two halves that know nothing of each other at first.
        if self.random.percent(15) {
            let half = self.random.sample(self.size, self.size / 2);
            let until = self.random.between(seconds(10), seconds(90));
            self.cut(Duration::ZERO, until, self.between(&half, true));
        }
    }

    fn incident(&mut self) {
        let at = self.some_time();
        let until = at + self.random.between(seconds(1), seconds(100));
        match self.random.below(15) {
            0 | 1 => self.crashes(at, until),
            2 => self.pauses(at, until),
            3 => {
                let island = self.some_hosts();
                self.cut(at, until, self.between(&island, true));
            }
            4 => {
                let deaf = self.some_hosts();
                self.cut(at, until, self.between(&deaf, false));
            }
            5 => self.patchy_links(at, until),
            6 => self.storm(at, until),
            7 => self.slow_lines(at, until),
            8 => {
                for host in self.some_hosts() {
                    self.turn_clock(at, host);
                }
            }
            9 => self.departures(at),
            10 => self.rolling_restart(at),
            11 => self.whole_restart(at),
            12 => self.flapping(at),
            13 => self.key_rotation(at),
            _ => self.cloned_disk(at),
        }
        for _ in 0..self.random.below(4) {
            let (at, host) = (self.some_time(), self.random.index(self.size));
            self.at(at, Act::Say(host));
        }
    }

    fn crashes(&mut self, at: Duration, until: Duration) {
        let returns = self.random.percent(75);
        let elsewhere = self.random.percent(30);
        let disk = if self.random.percent(70) {
            Disk::Own
        } else {
            Disk::Empty
        };
        for host in self.some_hosts() {
            self.at(at, Act::Crash(host));
            if returns {
                let late = self.random.between(Duration::ZERO, seconds(5));
                self.at(
                    until + late,
                    Act::Start {
                        host,
                        disk,
                        elsewhere,
                    },
                );
            }
        }
    }

    fn pauses(&mut self, at: Duration, until: Duration) {
        for host in self.some_hosts() {
            self.at(at, Act::Pause(host));
            self.at(until, Act::Resume(host));
        }
    }

    /// Every link between the hosts and the others, or those to the hosts only.
    fn between(&self, some: &[usize], both_ways: bool) -> Vec<(usize, usize)> {
        let is_in = |host: usize| some.contains(&host);
        let pairs = (0..self.size).flat_map(|from| (0..self.size).map(move |to| (from, to)));
        pairs
            .filter(|&(from, to)| is_in(from) != is_in(to) && (both_ways || is_in(to)))
            .collect()
    }

    fn cut(&mut self, at: Duration, until: Duration, links: Vec<(usize, usize)>) {
        let links = Rc::new(links);
        self.at(at, Act::Cut(Rc::clone(&links)));
        self.at(until, Act::Mend(links));
    }

    /// One in ten ways leads nowhere.
    fn patchy_links(&mut self, at: Duration, until: Duration) {
        let pairs = self.size * self.size;
        let chosen = self.random.sample(pairs, pairs / 10);
        let links = chosen
            .into_iter()
            .map(|pair| (pair / self.size, pair % self.size));
        self.cut(at, until, links.collect());
    }

    fn storm(&mut self, at: Duration, until: Duration) {
        let (during, after) = (weather(&mut self.random), weather(&mut self.random));
        self.at(at, Act::Weather(during));
        self.at(until, Act::Weather(after));
    }

    fn slow_lines(&mut self, at: Duration, until: Duration) {
        let by = self.random.between(Duration::from_millis(100), seconds(4));
        for host in self.some_hosts() {
            self.at(at, Act::SlowDown(host, by));
            self.at(until, Act::SlowDown(host, Duration::ZERO));
        }
    }

    fn turn_clock(&mut self, at: Duration, host: usize) {
        let by = self.random.below(121) as i64 - 60;
        self.at(at, Act::TurnClock(host, by));
    }

    fn departures(&mut self, at: Duration) {
        let returns = self.random.percent(50);
        let elsewhere = self.random.percent(50);
        for host in self.some_hosts() {
            let late = self.random.between(Duration::ZERO, seconds(20));
            self.at(at + late, Act::Leave(host));
            if returns {
                let pause = self.random.between(seconds(1), seconds(60));
                let disk = Disk::Own;
                self.at(
                    at + late + pause,
                    Act::Start {
                        host,
                        disk,
                        elsewhere,
                    },
                );
            }
        }
    }

    /// One after another is replaced by a process at another address.
    fn rolling_restart(&mut self, at: Duration) {
        let politely = self.random.percent(70);
        let elsewhere = self.random.percent(70);
        let next_config = self.random.percent(50);
        if next_config {
            self.at(at, Act::RollOut);
        }
        let hosts = match next_config {
            true => self.random.sample(self.size, self.size),
            false => self.some_hosts(),
        };
        let longest = (seconds(120) / hosts.len() as u32).min(seconds(8));
        let pause = self.random.between(longest / 8, longest);
        for (number, host) in hosts.into_iter().enumerate() {
            let at = at + pause * number as u32;
            self.at(
                at,
                if politely {
                    Act::Leave(host)
                } else {
                    Act::Crash(host)
                },
            );
            let back = at + self.random.between(seconds(1), seconds(10));
            let disk = Disk::Own;
            self.at(
                back,
                Act::Start {
                    host,
                    disk,
                    elsewhere,
                },
            );
        }
    }

    fn whole_restart(&mut self, at: Duration) {
        let elsewhere = self.random.percent(50);
        let pause = self.random.between(seconds(1), seconds(60));
        for host in 0..self.size {
            self.at(at, Act::Crash(host));
            let late = self.random.between(Duration::ZERO, seconds(10));
            let disk = Disk::Own;
            self.at(
                at + pause + late,
                Act::Start {
                    host,
                    disk,
                    elsewhere,
                },
            );
        }
    }

    /// A process that crashes as soon as it runs.
    fn flapping(&mut self, at: Duration) {
        let host = self.random.index(self.size);
        let elsewhere = self.random.percent(30);
        let mut at = at;
        for _ in 0..3 + self.random.below(5) {
            at += self.random.between(seconds(1), seconds(15));
            self.at(at, Act::Crash(host));
            at += self.random.between(Duration::ZERO, seconds(5));
            let disk = Disk::Own;
            self.at(
                at,
                Act::Start {
                    host,
                    disk,
                    elsewhere,
                },
            );
        }
    }

    /// Everybody takes each step before anybody takes the next one.
    fn key_rotation(&mut self, at: Duration) {
        for step in 0..3 {
            for host in 0..self.size {
                let at = at + seconds(15) * step as u32;
                let late = self.random.between(Duration::ZERO, seconds(10));
                self.at(at + late, Act::TurnKey(host, step));
            }
        }
    }

    /// A host gets the volume of another one, so that both claim the same tokens.
    fn cloned_disk(&mut self, at: Duration) {
        let pair = self.random.sample(self.size, 2);
        if let [host, other] = pair[..] {
            self.at(at, Act::Crash(host));
            let elsewhere = false;
            let disk = Disk::CopyOf(other);
            self.at(
                at + seconds(1),
                Act::Start {
                    host,
                    disk,
                    elsewhere,
                },
            );
        }
    }
}
