//! When gossip goes out, and in which form.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

#[test]
fn late_wakeups_do_not_slow_the_rhythm() {
    let mut machine = with_nodes(1);
    let mut rounds = 0;
    for version in 0.. {
        machine.broadcast(Origin::Forwarded, word("ring", &[], version));
        let now = machine.next_timeout() + Duration::from_millis(50);
        if now > after(10) {
            break;
        }
        machine.handle_timeout(now);
        let is_gossip = |(_, message): &(SocketAddr, Message)| matches!(message, Message::User(_));
        rounds += u32::from(sent(&mut machine).iter().any(is_gossip));
    }
    assert!(
        (47..=51).contains(&rounds),
        "{rounds} rounds of 200 ms in 10 s"
    );
}

#[test]
fn nodes_started_together_do_not_act_together() {
    let first = |seed| {
        let machine = Machine::new(config(), seed, NOW).expect("the config is valid");
        machine.next_timeout()
    };
    let mut times: Vec<Timestamp> = (0..10).map(first).collect();
    times.sort();
    times.dedup();
    assert!(times.len() > 5, "{times:?}");
}

fn gossip_rounds(
    machine: &mut Machine,
    start: Timestamp,
    end: Timestamp,
    mut update: impl FnMut() -> Broadcast,
) -> usize {
    let mut now = start;
    let mut rounds = BTreeSet::new();
    while now < end {
        machine.broadcast(Origin::Local, update());
        let step = now + Duration::from_millis(10);
        run_between(machine, now, step, |_, now, _, message| {
            if matches!(message, Message::User(_)) {
                rounds.insert(now);
            }
        });
        now = step;
    }
    rounds.len()
}

#[test]
fn news_of_our_own_is_told_at_once_but_a_burst_is_not_a_storm() {
    let mut machine = with_nodes(5);
    run(&mut machine, after(2), answer_pings);
    machine.broadcast(Origin::Local, word("ring", &[], 1));
    assert!(machine.next_timeout() <= after(2));
    machine.handle_timeout(after(2));
    assert!(!sent(&mut machine).is_empty());

    let mut version = 1;
    let rounds = gossip_rounds(&mut machine, after(3), after(5), || {
        version += 1;
        word("ring", &[], version)
    });
    assert!(
        (36..=42).contains(&rounds),
        "{rounds} rounds of 50 ms in 2 s"
    );
}

#[test]
fn what_nobody_waits_for_makes_rare_rounds_of_its_own() {
    let mut machine = with_nodes(5);
    let mut version = 0;
    let rounds = gossip_rounds(&mut machine, after(1), after(11), || {
        version += 1;
        word("ring", &[], version).lazy()
    });
    assert!((9..=13).contains(&rounds), "{rounds} rounds of 1 s in 10 s");
}

#[test]
fn what_nobody_waits_for_travels_along_and_does_not_delay_leaving() {
    let mut machine = with_nodes(5);
    run(&mut machine, after(2), |_, _, _, _| {});
    machine.broadcast(Origin::Local, word("heartbeat", &[], 1).lazy());
    machine.handle_timeout(after(3));
    machine.broadcast(Origin::Local, word("heartbeat", &[], 2).lazy());
    machine.broadcast(Origin::Local, word("news", &[], 1));
    assert_eq!(machine.queued_broadcasts(Origin::Local), 2);
    assert_eq!(machine.urgent_broadcasts(Origin::Local), 1);
    outputs(&mut machine);
    machine.handle_timeout(machine.next_timeout().max(after(3)));
    let sent = sent(&mut machine);
    let count = |text: &[u8]| {
        let holds =
            |message: &Message| matches!(message, Message::User(user) if user.starts_with(text));
        sent.iter().filter(|(_, message)| holds(message)).count()
    };
    assert_eq!((count(b"news"), count(b"heartbeat")), (3, 3));
    assert!(
        matches!(&sent[0].1, Message::User(user) if user.starts_with(b"news")),
        "news comes first: {sent:?}"
    );
    run_between(
        &mut machine,
        after(3),
        after(3) + Duration::from_millis(600),
        |_, _, _, _| {},
    );
    assert_eq!(machine.urgent_broadcasts(Origin::Local), 0);
}

#[test]
fn each_receiver_gets_the_form_that_it_understands() {
    let mut machine = with_nodes(1);
    let mut modern = alive("b", 20, 1);
    modern.vsn = Some(vec![1, 5, 2, 0, 1, 0]);
    accept(&mut machine, Message::Alive(modern));
    run(&mut machine, after(2), |_, _, _, _| {});
    machine.broadcast(
        Origin::Local,
        word("ring", &["x"], 1).with_compact("short").lazy(),
    );
    let mut told = BTreeMap::new();
    run_between(&mut machine, after(2), after(9), |_, _, to, message| {
        if let Message::User(user) = message {
            told.entry((to.to_string(), user == "short"))
                .and_modify(|count| *count += 1)
                .or_insert(1);
        }
    });
    let (full, compact) = (
        ("10.0.0.10:7946".to_owned(), false),
        ("10.0.0.20:7946".to_owned(), true),
    );
    assert_eq!(
        told,
        BTreeMap::from([(full, 2), (compact, 2)]),
        "4 times in all"
    );
}

#[test]
fn a_compact_form_that_is_not_shorter_is_not_used() {
    let mut machine = machine();
    let mut modern = alive("a", 10, 1);
    modern.vsn = Some(vec![1, 5, 2, 0, 1, 0]);
    accept(&mut machine, Message::Alive(modern));
    let long = vec![b'x'; machine.config().packet_budget];
    machine.broadcast(Origin::Local, word("ring", &[], 1).with_compact(long));
    run(&mut machine, after(3), |_, _, _, _| {});
    assert_eq!(machine.queued_broadcasts(Origin::Local), 0, "it was sent");
}

#[test]
fn a_heartbeat_does_not_hide_the_news_that_it_replaces() {
    let mut machine = with_nodes(1);
    machine.broadcast(Origin::Local, word("ring", &["x"], 1));
    machine.broadcast(
        Origin::Local,
        word("ring", &["x"], 2).with_compact("short").lazy(),
    );
    assert_eq!(machine.queued_broadcasts(Origin::Local), 1);
    assert_eq!(machine.urgent_broadcasts(Origin::Local), 1);
    let mut modern = alive("a", 10, 2);
    modern.vsn = Some(vec![1, 5, 2, 0, 1, 0]);
    accept(&mut machine, Message::Alive(modern));
    machine.handle_timeout(after(1));
    let users: Vec<Message> = sent(&mut machine)
        .into_iter()
        .map(|(_, message)| message)
        .filter(|message| matches!(message, Message::User(_)))
        .collect();
    assert_eq!(users, [Message::User("ring[\"x\"]2".into())]);
}

#[test]
fn a_machine_with_nothing_to_tell_sleeps_until_its_next_probe() {
    let mut machine = with_nodes(20);
    run(&mut machine, after(3), answer_pings);
    let mut wakeups = 0;
    let (mut now, end) = (machine.next_timeout(), after(33));
    while now <= end {
        wakeups += 1;
        machine.handle_timeout(now);
        for (to, message) in sent(&mut machine) {
            answer_pings(&mut machine, now, to, message);
        }
        now = machine.next_timeout();
    }
    assert!(
        wakeups <= 8,
        "{wakeups} wakeups in 30 s: 6 probes and a push/pull"
    );
}
