use std::time::Duration;

use proto::ring::{Desc, InstanceDesc};
use pyroscope_ring::{Lifecycler, LifecyclerConfig, Now, State, Update, desc};

pub(crate) const START: i64 = 1_790_000_000;

/// One instance, its disk, its clock and the ring it sees.
pub(crate) struct Node {
    pub(crate) lifecycler: Lifecycler,
    pub(crate) file: Vec<u32>,
    pub(crate) ring: Desc,
    pub(crate) now: Now,
    seed: u32,
}

pub(crate) fn config() -> LifecyclerConfig {
    LifecyclerConfig {
        num_tokens: 4,
        ..LifecyclerConfig::new("ing-1", "10.0.0.1:4040")
    }
}

pub(crate) fn at(seconds: i64) -> Now {
    Now {
        unix: START + seconds,
        monotonic: Duration::from_secs(seconds.unsigned_abs()),
    }
}

impl Node {
    pub(crate) fn new(config: LifecyclerConfig) -> Self {
        Self {
            lifecycler: lifecycler(config, Vec::new(), 1),
            file: Vec::new(),
            ring: Desc::default(),
            now: at(0),
            seed: 1,
        }
    }

    pub(crate) fn started(config: LifecyclerConfig) -> Self {
        let mut node = Self::new(config);
        node.step(Lifecycler::start);
        node.step(Lifecycler::poll);
        node
    }

    /// Takes a step and applies what it asks for; returns the new record.
    pub(crate) fn step(
        &mut self,
        step: impl FnOnce(&mut Lifecycler, &Desc, Now) -> Update,
    ) -> Option<InstanceDesc> {
        let update = step(&mut self.lifecycler, &self.ring, self.now);
        if let Some(tokens) = update.persist {
            self.file = tokens;
        }
        let record = update.instance?;
        let id = self.lifecycler.config().id.clone();
        let before = self.ring.ingesters.get(&id).map(|entry| entry.timestamp);
        assert!(before < Some(record.timestamp), "{before:?} {record:?}");
        desc::put(&mut self.ring, &id, record.clone()).expect("the ring takes the record");
        Some(record)
    }

    pub(crate) fn advance(&mut self, seconds: i64) {
        self.now.unix += seconds;
        self.now.monotonic += Duration::from_secs(seconds.unsigned_abs());
    }

    pub(crate) fn restart(&mut self, config: LifecyclerConfig) -> Option<InstanceDesc> {
        self.seed += 1;
        self.lifecycler = lifecycler(config, self.file.clone(), self.seed);
        self.step(Lifecycler::start)
    }

    pub(crate) fn entry(&self) -> &InstanceDesc {
        &self.ring.ingesters["ing-1"]
    }

    pub(crate) fn state(&self) -> State {
        assert_eq!(State::of(self.entry()), self.lifecycler.state());
        self.lifecycler.state()
    }
}

/// Draws from a small generator of full period, enough for distinct tokens.
pub(crate) fn lifecycler(config: LifecyclerConfig, tokens: Vec<u32>, seed: u32) -> Lifecycler {
    let mut state = seed;
    Lifecycler::new(config, tokens, move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state
    })
}

pub(crate) fn other(id: &str, timestamp: i64, state: State, tokens: &[u32]) -> Desc {
    let instance = InstanceDesc {
        timestamp,
        state: state.into(),
        tokens: tokens.to_vec(),
        ..InstanceDesc::default()
    };
    Desc {
        ingesters: [(id.to_owned(), instance)].into(),
    }
}
