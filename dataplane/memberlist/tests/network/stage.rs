//! Plays a story and checks what must hold afterwards.

use std::time::Duration;

use pyroscope_memberlist::{Config, Event};

use super::seeds::Outcome;
use super::story::{Act, Disk, Story};
use super::{Conditions, Network, Origin, Replica, Timestamp, Trace};

/// Longest time until all agree after everything is healed, but for [`LAPS`].
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// A name that has moved is taken once the dead one is forgotten: each node has to probe all others once to notice
/// that death at the latest, and once more to forget it, as in Go.
const LAPS: u32 = 2;
/// What each host adds to a lap.
const PROBE: Duration = Duration::from_secs(5);
/// Longest probe, that of a node in the worst health: after it nobody is doubted for faults of before the healing.
const CALM: Duration = Duration::from_secs(45);
/// How long peace has to last.
const PEACE: Duration = Duration::from_secs(30);
/// How often it is checked whether all agree.
const LOOK: Duration = Duration::from_millis(500);
/// Packets per host and second that are enough for the failure detector of a quiet cluster.
const MAX_QUIET_PACKETS: u64 = 6;

/// Who plays: what runs on the hosts.
pub(crate) trait Cast {
    type Replica: Replica;

    /// Prepares a host's next process.
    fn prepare(
        &mut self,
        network: &Network<Self::Replica>,
        host: usize,
        disk: Disk,
    ) -> (Config, Self::Replica);

    /// Moves a host's wall clock.
    fn turn_clock(&mut self, _host: usize, _seconds: i64) {}

    /// Goes on to the next configuration of a roll-out.
    fn roll_out(&mut self) {}

    /// Takes a step of a key rotation on a host, which may be down.
    fn turn_key(&mut self, _network: &mut Network<Self::Replica>, _host: usize, _step: usize) {}

    /// Changes the replicated state on a host that runs.
    fn say(&mut self, network: &mut Network<Self::Replica>, host: usize);

    /// Tells that a host said goodbye for good, unless it starts again.
    fn leave(&mut self, _host: usize) {}

    /// Tells that everything is healed.
    fn healed(&mut self, _network: &Network<Self::Replica>) {}

    /// Returns why the replicas do not agree, if they do not.
    fn disagreement(&self, network: &Network<Self::Replica>) -> Option<String>;

    /// Lets nothing new happen from now on.
    fn fall_silent(&mut self, _network: &mut Network<Self::Replica>) {}

    /// Returns what went wrong, now that all agree.
    fn violation(&self, network: &Network<Self::Replica>) -> Option<String>;

    /// Whether machines may refuse what they get, as during a roll-out.
    fn may_refuse(&self) -> bool {
        false
    }
}

/// Plays `story`: its acts, the healing, and peace.
///
/// # Panics
/// If an invariant does not hold.
pub(crate) fn play<C: Cast>(story: &Story, cast: &mut C, trace: Trace) -> Outcome {
    let mut stage = Stage::new(story, cast, trace);
    for (at, act) in &story.acts {
        stage.run_until(*at);
        stage.perform(act);
    }
    stage.run_until(story.end);
    stage.heal();
    let convergence = stage.converge();
    stage.stay_in_peace();
    let start = Timestamp::from_duration(super::START);
    Outcome {
        elapsed: stage.network.now.saturating_since(start),
        convergence,
        digest: stage.network.trace.finish(),
    }
}

struct Stage<'a, C: Cast> {
    network: Network<C::Replica>,
    cast: &'a mut C,
    limits: Limits,
}

/// What must stay bounded, whatever happens.
struct Limits {
    in_flight: usize,
    queue: usize,
}

impl<'a, C: Cast> Stage<'a, C> {
    fn new(story: &Story, cast: &'a mut C, trace: Trace) -> Self {
        let mut network = Network::new(story.seed, story.size, story.conditions, trace);
        network.rejoin = Some(story.rejoin);
        network.refuses_connections = story.refuses_connections;
        Self {
            network,
            cast,
            limits: Limits {
                in_flight: 2000 + 200 * story.size,
                queue: 200 + 8 * story.size,
            },
        }
    }

    fn run_until(&mut self, at: Duration) {
        let end = Timestamp::from_duration(super::START + at);
        let pause = end.saturating_since(self.network.now);
        self.network.run_for(pause);
        self.check_limits();
    }

    fn perform(&mut self, act: &Act) {
        let network = &mut self.network;
        network.trace.note(network.now, format_args!("==> {act}"));
        match act {
            Act::Start {
                host,
                disk,
                elsewhere,
            } => {
                drop(network.crash(*host));
                if *elsewhere {
                    network.move_away(*host);
                }
                let (config, replica) = self.cast.prepare(network, *host, *disk);
                network.start(*host, config, replica);
            }
            Act::Crash(host) => drop(network.crash(*host)),
            Act::Leave(host) => {
                if network.runs(*host) && !network.is_stopped(*host) {
                    self.cast.leave(*host);
                    network.leave(*host);
                }
            }
            Act::Pause(host) => network.pause(*host),
            Act::Resume(host) => network.resume(*host),
            Act::Cut(links) => network.links.cut(links),
            Act::Mend(links) => network.links.mend(links),
            Act::Weather(conditions) => network.links.conditions = *conditions,
            Act::SlowDown(host, by) => network.links.slow_down(*host, *by),
            Act::TurnClock(host, by) => self.cast.turn_clock(*host, *by),
            Act::Say(host) => {
                if network.runs(*host) && !network.is_stopped(*host) {
                    self.cast.say(network, *host);
                }
            }
            Act::RollOut => self.cast.roll_out(),
            Act::TurnKey(host, step) => self.cast.turn_key(network, *host, *step),
        }
    }

    fn heal(&mut self) {
        let network = &mut self.network;
        network
            .trace
            .note(network.now, format_args!("==> everything is healed"));
        network.links.heal(Conditions::GOOD);
        for host in network.running() {
            network.resume(host);
        }
        self.cast.healed(&self.network);
    }

    /// Waits until all have agreed for a while; returns when they began to.
    ///
    /// A probe that began before everything was healed may still fail afterwards, and its target has to object.
    fn converge(&mut self) -> Duration {
        let start = self.network.now;
        let mut agreed_since = start;
        while self.network.now.saturating_since(agreed_since) < CALM {
            let waited = self.network.now.saturating_since(start);
            if let Some(disagreement) = self.disagreement() {
                assert!(
                    waited < self.patience(),
                    "after {waited:?} of healing {disagreement}"
                );
                agreed_since = self.network.now + LOOK;
            }
            self.network.run_for(LOOK);
            self.check_limits();
        }
        agreed_since.saturating_since(start)
    }

    fn patience(&self) -> Duration {
        PATIENCE + PROBE * LAPS * self.network.size() as u32
    }

    fn disagreement(&mut self) -> Option<String> {
        let disagreement = self.network.disagreement();
        disagreement.or_else(|| self.cast.disagreement(&self.network))
    }

    /// Once all agree, nobody is doubted any more, and all is quiet.
    fn stay_in_peace(&mut self) {
        self.cast.fall_silent(&mut self.network);
        let fell_silent = self.network.now;
        while let Some(disagreement) = self.disagreement() {
            let waited = self.network.now.saturating_since(fell_silent);
            assert!(
                waited < self.patience(),
                "after {waited:?} of silence {disagreement}"
            );
            self.network.run_for(LOOK);
        }
        let seen: Vec<(usize, usize)> = self.events();
        self.network.run_for(PEACE);
        let quiet = Duration::from_secs(10);
        let packets = self.network.packets;
        self.network.run_for(quiet);
        let packets = self.network.packets - packets;
        let disagreement = self.disagreement();
        assert_eq!(disagreement, None, "agreement does not last");
        for (host, seen) in seen {
            let doubts = |event: &&Event| matches!(event, Event::Suspected(_) | Event::Dead(_));
            let doubt = self.network.process(host).events[seen..]
                .iter()
                .find(doubts);
            assert_eq!(doubt, None, "node-{host} doubts in peace");
        }
        let hosts = self.network.running().len() as u64;
        assert!(
            packets <= hosts * quiet.as_secs() * MAX_QUIET_PACKETS,
            "{packets} packets of {hosts} hosts in {quiet:?} of peace"
        );
        assert_eq!(
            self.cast.violation(&self.network),
            None,
            "a promise is broken"
        );
        if !self.cast.may_refuse() {
            let refusals = &self.network.refusals;
            assert!(
                refusals.is_empty(),
                "machines refuse what machines sent: {refusals:?}"
            );
        }
    }

    fn events(&self) -> Vec<(usize, usize)> {
        let running = self.network.running().into_iter();
        running
            .map(|host| (host, self.network.process(host).events.len()))
            .collect()
    }

    fn check_limits(&self) {
        let Self {
            network, limits, ..
        } = self;
        let in_flight = network.in_flight();
        assert!(
            in_flight < limits.in_flight,
            "{in_flight} parcels on their way"
        );
        for host in network.running() {
            let machine = &network.process(host).machine;
            let queued =
                [Origin::Local, Origin::Forwarded].map(|origin| machine.queued_broadcasts(origin));
            assert!(
                queued.iter().all(|&queued| queued < limits.queue),
                "node-{host} queues {queued:?} updates"
            );
            let known = machine.members().count();
            assert!(known <= network.size(), "node-{host} knows {known} nodes");
        }
    }
}
