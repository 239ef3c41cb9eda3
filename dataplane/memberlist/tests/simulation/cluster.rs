//! Clusters of machines whose drivers replicate words.

use std::collections::BTreeSet;
use std::time::Duration;

use pyroscope_memberlist::{Compression, Config, Keyring};

use crate::network::stage::Cast;
use crate::network::story::Disk;
use crate::network::{Network, Random, Reaction};
use crate::words::Words;

const KEYS: [[u8; 16]; 2] = [[1; 16], [2; 16]];

/// Steps of labelling a cluster without splitting it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LabelStep {
    /// Everybody has the label and insists on it.
    Done,
    /// Nobody has a label, but any is accepted.
    Tolerant,
    /// Those restarted send the label; any is accepted.
    Sending,
}

/// How the processes of one story are configured.
pub(crate) struct Cluster {
    classic: bool,
    label: LabelStep,
    /// How far the key rotation is on each host; `None` without encryption.
    key_steps: Option<Vec<usize>>,
    /// Messages under way may have been made with what is not valid any more.
    keys_were_turned: bool,
    compression: Vec<Option<Compression>>,
    /// The hosts that do not know compact updates, as nodes of the Go implementation.
    plain: Vec<bool>,
    reclaim: Duration,
    said: BTreeSet<String>,
}

impl Cluster {
    pub(crate) fn new(seed: u64, size: usize) -> Self {
        let mut random = Random::new(seed ^ 0x636C_7573_7465_7200);
        let classic = random.percent(25);
        let choices = match random.below(3) {
            0 => vec![None],
            1 => vec![Some(Compression::Lzw)],
            _ if classic => vec![None, Some(Compression::Lzw)],
            _ => vec![None, Some(Compression::Lzw), Some(Compression::Snappy)],
        };
        // The classic dialect has no tolerant way to a label.
        let label = match classic || random.percent(60) {
            true => LabelStep::Done,
            false => LabelStep::Tolerant,
        };
        // The label is part of what encryption authenticates, so the two are not rolled out together.
        let encrypted = label == LabelStep::Done && random.percent(40);
        let plain = *random.pick(&[0, 30, 100]);
        Self {
            classic,
            label,
            key_steps: encrypted.then(|| vec![0; size]),
            keys_were_turned: false,
            compression: (0..size).map(|_| *random.pick(&choices)).collect(),
            plain: (0..size).map(|_| random.percent(plain)).collect(),
            reclaim: Duration::from_secs(*random.pick(&[0, 0, 30])),
            said: BTreeSet::new(),
        }
    }

    pub(crate) fn config(&self, network: &Network<Words>, host: usize) -> Config {
        let (name, address) = (Network::<Words>::name(host), network.address(host));
        let mut config = match self.classic {
            true => Config::lan(name, address),
            false => Config::new(name, address),
        };
        config.compression = self.compression[host];
        config.dead_node_reclaim_time = self.reclaim;
        config.verify_label = self.label == LabelStep::Done;
        if self.label != LabelStep::Tolerant {
            config.label = "simulation".to_owned();
        }
        if !self.plain[host] {
            config.delegate_versions = [0, 1, 0];
        }
        config.keyring = self.key_steps.as_ref().map(|steps| keyring(steps[host]));
        config
    }
}

/// Returns the keys of a host that took `steps` of the rotation from the first key to the second.
fn keyring(steps: usize) -> Keyring {
    let mut keyring = Keyring::new([KEYS[0]]).expect("the key is valid");
    (0..steps).for_each(|step| turn(&mut keyring, step));
    keyring
}

fn turn(keyring: &mut Keyring, step: usize) {
    let turned = match step {
        0 => keyring.install(&KEYS[1]),
        1 => keyring.use_key(&KEYS[1]),
        _ => keyring.remove(&KEYS[0]),
    };
    turned.expect("the steps are in order");
}

impl Cast for Cluster {
    type Replica = Words;

    fn prepare(&mut self, network: &Network<Words>, host: usize, _disk: Disk) -> (Config, Words) {
        (self.config(network, host), Words::new(self.plain[host]))
    }

    fn roll_out(&mut self) {
        if self.label == LabelStep::Tolerant {
            self.label = LabelStep::Sending;
        }
    }

    fn turn_key(&mut self, network: &mut Network<Words>, host: usize, step: usize) {
        let Some(steps) = &mut self.key_steps else {
            return;
        };
        // A second rotation would be one of other keys.
        if steps[host] != step {
            return;
        }
        steps[host] += 1;
        self.keys_were_turned = true;
        network.act_on(host, |process, _| {
            if let Some(keyring) = process.machine.keyring_mut() {
                turn(keyring, step);
            }
            Reaction::default()
        });
    }

    fn say(&mut self, network: &mut Network<Words>, host: usize) {
        let word = format!("word {} of {host}", self.said.len());
        network.act_on(host, |process, _| process.replica.say(&word));
        self.said.insert(word);
    }

    fn disagreement(&self, network: &Network<Words>) -> Option<String> {
        let running = network.running();
        let (&first, others) = running.split_first()?;
        let known = &network.process(first).replica.known;
        let other = others
            .iter()
            .find(|&&other| network.process(other).replica.known != *known)?;
        Some(format!(
            "node-{first} and node-{other} know different words"
        ))
    }

    fn violation(&self, network: &Network<Words>) -> Option<String> {
        let host = *network.running().first()?;
        let known = &network.process(host).replica.known;
        let invented = known.difference(&self.said).next()?;
        Some(format!("nobody said {invented:?}"))
    }

    fn may_refuse(&self) -> bool {
        self.keys_were_turned
    }
}
