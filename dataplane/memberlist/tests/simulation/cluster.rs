//! Clusters of machines whose drivers replicate words.

use std::collections::BTreeSet;
use std::time::Duration;

use pyroscope_memberlist::{Compression, Config};

use crate::network::stage::Cast;
use crate::network::story::Disk;
use crate::network::{Network, Random};
use crate::words::Words;

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
    label: LabelStep,
    rolls_out: bool,
    /// Per host.
    compression: Vec<Option<Compression>>,
    reclaim: Duration,
    said: BTreeSet<String>,
}

impl Cluster {
    pub(crate) fn new(seed: u64, size: usize) -> Self {
        let mut random = Random::new(seed ^ 0x636C_7573_7465_7200);
        let choices = match random.below(3) {
            0 => vec![None],
            1 => vec![Some(Compression::Lzw)],
            _ => vec![None, Some(Compression::Lzw), Some(Compression::Snappy)],
        };
        Self {
            label: *random.pick(&[LabelStep::Done, LabelStep::Tolerant]),
            rolls_out: false,
            compression: (0..size).map(|_| *random.pick(&choices)).collect(),
            reclaim: Duration::from_secs(*random.pick(&[0, 0, 30])),
            said: BTreeSet::new(),
        }
    }

    pub(crate) fn config(&self, network: &Network<Words>, host: usize) -> Config {
        let mut config = Config::new(Network::<Words>::name(host), network.address(host));
        config.compression = self.compression[host];
        config.dead_node_reclaim_time = self.reclaim;
        config.verify_label = self.label == LabelStep::Done;
        if self.label != LabelStep::Tolerant {
            config.label = "simulation".to_owned();
        }
        config
    }
}

impl Cast for Cluster {
    type Replica = Words;

    fn prepare(&mut self, network: &Network<Words>, host: usize, _disk: Disk) -> (Config, Words) {
        (self.config(network, host), Words::default())
    }

    fn roll_out(&mut self) {
        if self.label == LabelStep::Tolerant {
            self.label = LabelStep::Sending;
            self.rolls_out = true;
        }
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
}
