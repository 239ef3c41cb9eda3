//! Health, bounds and hand-off queues of instances, in virtual time.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use pyroscope_ring::peers::{Answer, Counts, Limits, Parcel, Peers, Task};

const LIMITS: Limits = Limits {
    in_flight_bytes: 100,
    failures: 3,
    silence: Duration::from_millis(1000),
    first_probe: Duration::from_millis(250),
    longest_probe: Duration::from_millis(2000),
    queue_bytes: 50,
    queue_age: Duration::from_millis(60_000),
    delivery_bytes: 20,
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn peers() -> Peers<u32> {
    Peers::new(LIMITS)
}

fn probe(id: &str) -> Option<Task<u32>> {
    Some(Task::Probe { id: id.to_owned() })
}

/// Polls a delivery and returns its ticket and parcels.
fn delivery(peers: &mut Peers<u32>, now: Duration) -> (u64, Vec<Parcel<u32>>) {
    match peers.poll(now) {
        Some(Task::Deliver {
            ticket, parcels, ..
        }) => (ticket, parcels),
        other => panic!("no delivery but {other:?}"),
    }
}

fn all(parcels: Vec<Parcel<u32>>, answer: Answer) -> Vec<(Parcel<u32>, Answer)> {
    parcels.into_iter().map(|parcel| (parcel, answer)).collect()
}

fn fail(peers: &mut Peers<u32>, times: usize, now: Duration) {
    for _ in 0..times {
        let ticket = peers.send("a", 1, now).expect("room for one more");
        peers.answered("a", ticket, Answer::Failed, now);
    }
}

#[test]
fn failures_in_a_row_close_and_a_probe_opens() {
    let mut peers = peers();
    fail(&mut peers, 2, ms(0));
    let ticket = peers.send("a", 1, ms(0)).unwrap();
    peers.answered("a", ticket, Answer::Refused, ms(0));
    fail(&mut peers, 2, ms(0));
    assert!(peers.is_open("a", 1, ms(0)), "a refusal is a sign of life");
    fail(&mut peers, 1, ms(0));
    assert!(!peers.is_open("a", 1, ms(0)));
    assert_eq!(peers.poll(ms(249)), None);
    assert_eq!(peers.next_timeout(), Some(ms(250)));
    assert_eq!(peers.poll(ms(250)), probe("a"));
    assert_eq!(peers.poll(ms(250)), None, "one probe at a time");
    peers.probed("a", false, ms(300));
    assert_eq!(peers.next_timeout(), Some(ms(800)), "the pause doubles");
    assert_eq!(peers.poll(ms(800)), probe("a"));
    peers.probed("a", true, ms(801));
    assert!(peers.is_open("a", 1, ms(801)));
    fail(&mut peers, 1, ms(802));
    assert!(!peers.is_open("a", 1, ms(802)), "one more chance only");
    assert_eq!(peers.next_timeout(), Some(ms(1802)));
}

#[test]
fn silence_closes_and_any_success_opens() {
    let mut peers = peers();
    let first = peers.send("a", 1, ms(0)).unwrap();
    let second = peers.send("a", 1, ms(500)).unwrap();
    assert!(peers.is_open("a", 1, ms(999)));
    peers.answered("a", first, Answer::Took, ms(999));
    assert!(peers.is_open("a", 1, ms(1500)), "it was heard since");
    assert!(!peers.is_open("a", 1, ms(1999)));
    assert_eq!(peers.poll(ms(1999)), probe("a"));
    peers.answered("a", second, Answer::Took, ms(2500));
    assert!(peers.is_open("a", 1, ms(2500)));
    peers.probed("a", false, ms(3000));
    assert!(peers.is_open("a", 1, ms(3000)), "an old probe says nothing");
    assert!(peers.is_open("a", 1, ms(1_000_000)), "idle is not silent");
}

#[test]
fn what_is_on_its_way_to_one_instance_is_bounded() {
    let mut peers = peers();
    let ticket = peers.send("a", 60, ms(0)).unwrap();
    assert!(!peers.is_open("a", 60, ms(0)));
    assert_eq!(peers.send("a", 60, ms(0)), None);
    assert!(peers.is_open("b", 60, ms(0)));
    peers.answered("a", ticket, Answer::Took, ms(1));
    assert!(peers.send("a", 1000, ms(1)).is_some(), "one of any size");
    assert_eq!(peers.send("a", 1, ms(1)), None);
}

#[test]
fn parcels_wait_for_the_instance_and_come_in_order() {
    let mut peers = peers();
    fail(&mut peers, 3, ms(0));
    for parcel in 0..5 {
        peers.hand_off("a", parcel, 10, 1, ms(0));
    }
    peers.hand_off("a", 5, 10, 7, ms(0));
    assert_eq!(peers.counts().full, 7);
    assert_eq!(peers.poll(ms(0)), None, "it is down");
    assert_eq!(peers.poll(ms(250)), probe("a"));
    peers.probed("a", true, ms(251));

    let (ticket, parcels) = delivery(&mut peers, ms(251));
    let contents: Vec<u32> = parcels.iter().map(|parcel| parcel.content).collect();
    assert_eq!(contents, [0, 1]);
    assert_eq!(peers.poll(ms(251)), None, "one delivery at a time");
    let answers = parcels.into_iter().zip([Answer::Took, Answer::Failed]);
    peers.delivered("a", ticket, answers.collect(), ms(300));
    assert!(!peers.is_open("a", 1, ms(300)));
    assert_eq!(peers.poll(ms(800)), probe("a"));
    peers.probed("a", true, ms(800));
    let mut delivered = Vec::new();
    while !peers.is_drained() {
        let (ticket, parcels) = delivery(&mut peers, ms(800));
        delivered.extend(parcels.iter().map(|parcel| parcel.content));
        peers.delivered("a", ticket, all(parcels, Answer::Took), ms(800));
    }
    assert_eq!(delivered, [1, 2, 3, 4]);
    assert_eq!(peers.counts().delivered, 5);
}

#[test]
fn parcels_that_wait_for_too_long_are_dropped() {
    let mut peers = peers();
    fail(&mut peers, 3, ms(0));
    peers.hand_off("a", 1, 10, 2, ms(0));
    peers.hand_off("a", 2, 10, 3, ms(100));
    let mut now = ms(0);
    while now < ms(60_000) {
        now = peers.next_timeout().unwrap();
        while let Some(Task::Probe { id }) = peers.poll(now) {
            peers.probed(&id, false, now);
        }
    }
    assert_eq!(peers.counts().expired, 2);
    let standing = peers.standings().next().unwrap();
    assert_eq!((standing.queued_bytes, standing.queued_profiles), (10, 3));
}

#[test]
fn a_stop_delivers_once_also_to_those_that_are_down() {
    let mut peers = peers();
    fail(&mut peers, 3, ms(0));
    for parcel in 0..5 {
        peers.hand_off("a", parcel, 10, 1, ms(0));
    }
    peers.stop();
    let (ticket, parcels) = delivery(&mut peers, ms(0));
    peers.delivered("a", ticket, all(parcels, Answer::Took), ms(1));
    let (ticket, parcels) = delivery(&mut peers, ms(1));
    peers.delivered("a", ticket, all(parcels, Answer::Failed), ms(2));
    assert!(peers.is_drained());
    peers.hand_off("a", 9, 10, 1, ms(3));
    let expected = Counts {
        handed_off: 6,
        delivered: 2,
        stopped: 4,
        ..Counts::default()
    };
    assert_eq!(peers.counts(), expected);
}

#[test]
fn instances_that_are_gone_are_forgotten_once_nothing_waits() {
    let mut peers = peers();
    fail(&mut peers, 3, ms(0));
    peers.hand_off("a", 1, 10, 1, ms(0));
    peers.retain(|_| false);
    assert_eq!(peers.standings().count(), 1);
    peers.clear();
    peers.retain(|_| false);
    assert_eq!(peers.standings().count(), 0);
    assert_eq!(peers.counts().stopped, 1);
}

#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    Send(usize, u64),
    Answer(Answer),
    HandOff(usize, u64),
    Probe(bool),
    Deliver(Vec<Answer>),
}

fn event() -> impl Strategy<Value = Event> {
    let answer = || {
        prop_oneof![
            Just(Answer::Took),
            Just(Answer::Refused),
            Just(Answer::Failed)
        ]
    };
    prop_oneof![
        (0..5000_u64).prop_map(Event::Wait),
        (0..3_usize, 1..40_u64).prop_map(|(peer, bytes)| Event::Send(peer, bytes)),
        answer().prop_map(Event::Answer),
        (0..3_usize, 1..30_u64).prop_map(|(peer, bytes)| Event::HandOff(peer, bytes)),
        any::<bool>().prop_map(Event::Probe),
        vec(answer(), 8).prop_map(Event::Deliver),
    ]
}

/// A driver, and what it has under way.
struct World {
    peers: Peers<u32>,
    now: Duration,
    sent: Vec<(String, u64)>,
    probes: Vec<String>,
    deliveries: Vec<(String, u64, Vec<Parcel<u32>>)>,
    /// Parcels with a fate.
    settled: BTreeSet<u32>,
}

impl World {
    fn poll(&mut self) -> Result<(), TestCaseError> {
        while let Some(task) = self.peers.poll(self.now) {
            match task {
                Task::Probe { id } => {
                    prop_assert!(!self.probes.contains(&id), "one probe at a time");
                    prop_assert!(!self.peers.is_open(&id, 0, self.now));
                    self.probes.push(id);
                }
                Task::Deliver {
                    id,
                    ticket,
                    parcels,
                } => {
                    prop_assert!(self.deliveries.iter().all(|(other, ..)| *other != id));
                    let standings: Vec<_> = self.peers.standings().collect();
                    prop_assert!(standings.iter().any(|one| one.id == id && one.is_up));
                    prop_assert!(!parcels.is_empty());
                    for parcel in &parcels {
                        prop_assert!(parcel.since + LIMITS.queue_age > self.now, "too old");
                        prop_assert!(!self.settled.contains(&parcel.content), "sent twice");
                    }
                    prop_assert!(
                        parcels
                            .windows(2)
                            .all(|pair| pair[0].content < pair[1].content),
                        "in order"
                    );
                    self.deliveries.push((id, ticket, parcels));
                }
            }
        }
        let timeout = self.peers.next_timeout();
        prop_assert!(timeout.is_none_or(|at| at > self.now), "no busy loop");
        Ok(())
    }

    fn deliver(&mut self, answers: &[Answer]) {
        if self.deliveries.is_empty() {
            return;
        }
        let (id, ticket, parcels) = self.deliveries.remove(0);
        let answers = answers.iter().copied().cycle();
        let answered: Vec<_> = parcels.into_iter().zip(answers).collect();
        let settled = answered
            .iter()
            .filter(|(_, answer)| *answer != Answer::Failed);
        self.settled
            .extend(settled.map(|(parcel, _)| parcel.content));
        self.peers.delivered(&id, ticket, answered, self.now);
    }
}

proptest! {
    #[test]
    fn every_parcel_has_one_fate_and_nothing_grows(events in vec(event(), 1..200)) {
        let mut world = World {
            peers: peers(),
            now: ms(0),
            sent: Vec::new(),
            probes: Vec::new(),
            deliveries: Vec::new(),
            settled: BTreeSet::new(),
        };
        let mut parcels = 0;
        for event in events {
            match event {
                Event::Wait(millis) => world.now += ms(millis),
                Event::Send(peer, bytes) => {
                    let id = format!("peer-{peer}");
                    if let Some(ticket) = world.peers.send(&id, bytes, world.now) {
                        world.sent.push((id, ticket));
                    }
                }
                Event::Answer(answer) if !world.sent.is_empty() => {
                    let (id, ticket) = world.sent.remove(0);
                    world.peers.answered(&id, ticket, answer, world.now);
                }
                Event::Answer(_) => {}
                Event::HandOff(peer, bytes) => {
                    world.peers.hand_off(&format!("peer-{peer}"), parcels, bytes, 1, world.now);
                    parcels += 1;
                }
                Event::Probe(answered) if !world.probes.is_empty() => {
                    let id = world.probes.remove(0);
                    world.peers.probed(&id, answered, world.now);
                }
                Event::Probe(_) => {}
                Event::Deliver(answers) => world.deliver(&answers),
            }
            world.poll()?;
            for standing in world.peers.standings() {
                prop_assert!(standing.queued_bytes <= LIMITS.queue_bytes);
            }
        }
        // All instances are well from now on: everything that waits is delivered.
        for (id, ticket) in std::mem::take(&mut world.sent) {
            world.peers.answered(&id, ticket, Answer::Took, world.now);
        }
        for _ in 0..1000 {
            world.poll()?;
            for id in std::mem::take(&mut world.probes) {
                world.peers.probed(&id, true, world.now);
            }
            while !world.deliveries.is_empty() {
                world.deliver(&[Answer::Took]);
            }
            world.poll()?;
            if world.deliveries.is_empty() && world.probes.is_empty() {
                match world.peers.next_timeout() {
                    Some(at) => world.now = at,
                    None => break,
                }
            }
        }
        prop_assert!(world.peers.is_drained());
        for standing in world.peers.standings() {
            prop_assert_eq!((standing.in_flight_bytes, standing.queued_bytes), (0, 0));
        }
        let counts = world.peers.counts();
        prop_assert_eq!(counts.handed_off, u64::from(parcels));
        prop_assert_eq!(
            counts.delivered + counts.refused + counts.full + counts.expired + counts.stopped,
            counts.handed_off
        );
        prop_assert_eq!(counts.delivered + counts.refused, world.settled.len() as u64);
    }
}
