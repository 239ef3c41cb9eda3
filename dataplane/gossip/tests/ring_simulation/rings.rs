//! Clusters of ingesters in one ring.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use proto::ring::{Desc, InstanceDesc};
use pyroscope_gossip::kv::DELEGATE_VERSIONS;
use pyroscope_memberlist::{Compression, Config};
use ring::{LifecyclerConfig, State, desc};

use crate::instance::{self, Clock, Instance};
use crate::network::stage::Cast;
use crate::network::story::Disk;
use crate::network::{Network, Random};

/// How the ingesters of one story are configured, and what is outside of their processes.
pub(crate) struct Rings {
    random: Random,
    disks: Vec<instance::Disk>,
    clocks: Vec<Clock>,
    plain: Vec<bool>,
    compression: Option<Compression>,
    num_tokens: usize,
    heartbeat_period: Duration,
    observe_period: Duration,
    /// The hosts that said goodbye and did not start again.
    departed: BTreeSet<usize>,
    /// The tokens of each host, ascending, when its process started last.
    kept: BTreeMap<usize, Vec<u32>>,
    /// The hosts that have lost a disk.
    bereft: BTreeSet<usize>,
    /// The tokens that were on several disks at a time.
    copied: BTreeSet<u32>,
    silent: bool,
}

impl Rings {
    pub(crate) fn new(seed: u64, size: usize) -> Self {
        let mut random = Random::new(seed ^ 0x7269_6E67_7300);
        let compressions = [None, Some(Compression::Lzw), Some(Compression::Snappy)];
        let plain = *random.pick(&[0, 30, 100]);
        Self {
            disks: (0..size).map(|_| instance::Disk::default()).collect(),
            clocks: (0..size).map(|_| Rc::new(Cell::new(0))).collect(),
            plain: (0..size).map(|_| random.percent(plain)).collect(),
            compression: *random.pick(&compressions),
            num_tokens: *random.pick(&[1, 4, 16]),
            heartbeat_period: Duration::from_secs(*random.pick(&[5, 15, 30])),
            observe_period: Duration::from_secs(*random.pick(&[0, 0, 3])),
            departed: BTreeSet::new(),
            kept: BTreeMap::new(),
            bereft: BTreeSet::new(),
            copied: BTreeSet::new(),
            silent: false,
            random,
        }
    }

    fn lifecycler(&self, network: &Network<Instance>, host: usize) -> LifecyclerConfig {
        let name = Network::<Instance>::name(host);
        LifecyclerConfig {
            zone: format!("zone-{}", host % 3),
            num_tokens: self.num_tokens,
            heartbeat_period: self.heartbeat_period,
            observe_period: self.observe_period,
            ..LifecyclerConfig::new(name, network.address(host).to_string())
        }
    }

    /// Returns what is wrong with a running host's own entry.
    fn wrong_entry(&self, host: usize, instance: &Instance, ring: &Desc) -> Option<String> {
        let name = Network::<Instance>::name(host);
        let Some(entry) = ring.ingesters.get(&name) else {
            return Some(format!("{name} runs and is not in the ring"));
        };
        let state = State::of(entry);
        if state != State::Active {
            return Some(format!("{name} runs and is {state}"));
        }
        if entry.tokens.is_empty() || entry.tokens != instance.disk() {
            return Some(format!(
                "{name} has tokens {:?} on disk and {:?} in the ring",
                instance.disk(),
                entry.tokens
            ));
        }
        // Whoever lost a disk may have other tokens for a while, until the ring tells it those that
        // it had.
        if self.bereft.contains(&host) {
            return None;
        }
        // Tokens get lost in conflicts only, and then somebody else has them; if they came from its
        // disk, it may have left with them since.
        let taken = desc::tokens(ring);
        let kept = self.kept.get(&host).into_iter().flatten();
        let mut kept = kept.filter(|token| !self.copied.contains(token));
        let lost = kept.find(|token| !taken.contains(token))?;
        Some(format!("{name} lost token {lost}, which nobody has"))
    }
}

impl Cast for Rings {
    type Replica = Instance;

    fn prepare(
        &mut self,
        network: &Network<Instance>,
        host: usize,
        disk: Disk,
    ) -> (Config, Instance) {
        let replacement = match disk {
            Disk::Own => None,
            Disk::Empty => Some(Vec::new()),
            Disk::CopyOf(other) => {
                let copy = self.disks[other].borrow().clone();
                self.copied.extend(&copy);
                Some(copy)
            }
        };
        if let Some(tokens) = replacement {
            self.disks[host] = Rc::new(tokens.into());
            if self.kept.contains_key(&host) {
                self.bereft.insert(host);
            }
        }
        self.departed.remove(&host);
        self.kept.insert(host, self.disks[host].borrow().clone());
        let name = Network::<Instance>::name(host);
        let mut config = Config::new(name, network.address(host));
        config.compression = self.compression;
        if !self.plain[host] {
            config.delegate_versions = DELEGATE_VERSIONS;
        }
        let instance = Instance::new(
            self.lifecycler(network, host),
            Rc::clone(&self.disks[host]),
            Rc::clone(&self.clocks[host]),
            self.plain[host],
            network.now,
            Random::new(self.random.next()),
        );
        (config, instance)
    }

    fn turn_clock(&mut self, host: usize, seconds: i64) {
        self.clocks[host].set(seconds);
    }

    /// The ring is the only thing replicated here.
    fn say(&mut self, _network: &mut Network<Instance>, _host: usize) {}

    fn leave(&mut self, host: usize) {
        self.departed.insert(host);
    }

    /// Whoever was cut off or crashed while it said goodbye may not have been heard.
    fn healed(&mut self, network: &Network<Instance>) {
        let running = network.running();
        let rings = running
            .iter()
            .map(|&host| network.process(host).replica.ring());
        let heard: BTreeSet<String> = rings
            .flat_map(|ring| {
                let left = ring
                    .ingesters
                    .iter()
                    .filter(|(_, instance)| State::of(instance) == State::Left);
                left.map(|(id, _)| id.clone()).collect::<Vec<_>>()
            })
            .collect();
        self.departed
            .retain(|host| heard.contains(&Network::<Instance>::name(*host)));
    }

    fn disagreement(&self, network: &Network<Instance>) -> Option<String> {
        let running = network.running();
        let (&first, others) = running.split_first()?;
        let ring = network.process(first).replica.ring();
        for &other in others {
            let there = network.process(other).replica.ring();
            let different = difference(&ring, &there, self.silent);
            if let Some(id) = different {
                return Some(format!(
                    "node-{first} and node-{other} know different things of {id}"
                ));
            }
        }
        running.iter().find_map(|&host| {
            let instance = &network.process(host).replica;
            self.wrong_entry(host, instance, &ring)
        })
    }

    fn fall_silent(&mut self, network: &mut Network<Instance>) {
        self.silent = true;
        for host in network.running() {
            network.act_on(host, |process, _| {
                process.replica.fall_silent();
                Default::default()
            });
        }
    }

    fn violation(&self, network: &Network<Instance>) -> Option<String> {
        let host = *network.running().first()?;
        let ring = network.process(host).replica.ring();
        let mut owners = BTreeMap::new();
        for (id, instance) in desc::live(&ring) {
            for token in &instance.tokens {
                if let Some(other) = owners.insert(*token, id) {
                    return Some(format!("{id} and {other} both own {token}"));
                }
            }
        }
        let revived = self.departed.iter().find(|host| {
            let name = Network::<Instance>::name(**host);
            let entry = ring.ingesters.get(&name);
            entry.is_some_and(|entry| State::of(entry) != State::Left)
        });
        revived.map(|host| {
            format!(
                "node-{host} left and is {:?}",
                ring.ingesters.get(&format!("node-{host}"))
            )
        })
    }
}

/// Returns an instance of which two rings say different things: in everything, or in all but the time of the
/// last heartbeat.
fn difference<'r>(one: &'r Desc, other: &'r Desc, in_everything: bool) -> Option<&'r String> {
    let is_live = |instance: &InstanceDesc| State::of(instance) != State::Left;
    let same = |a: &InstanceDesc, b: &InstanceDesc| match in_everything {
        true => a == b,
        false => a.state == b.state && a.tokens == b.tokens && a.addr == b.addr && a.zone == b.zone,
    };
    // Tombstones expire, and not everywhere at the same moment.
    let missing = |from: &'r Desc, of: &'r Desc| {
        let mut live = of
            .ingesters
            .iter()
            .filter(|(_, instance)| is_live(instance));
        live.find(|(id, _)| !from.ingesters.contains_key(*id))
            .map(|(id, _)| id)
    };
    let differs = one.ingesters.iter().find(|(id, instance)| {
        let there = other.ingesters.get(*id);
        there.is_some_and(|there| !same(instance, there))
    });
    differs
        .map(|(id, _)| id)
        .or_else(|| missing(one, other))
        .or_else(|| missing(other, one))
}
