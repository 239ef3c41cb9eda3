//! One machine against hand-made messages: the rules of memberlist, one by one.

mod classic;
mod encryption;
mod exchange;
mod gossip;
mod library;
mod membership;
mod probe;
mod rhythm;
mod zones;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use pyroscope_memberlist::{
    Accusation, Ack, Address, Alive, Broadcast, Config, Event, IndirectPing, Machine, Merged,
    Message, NodeState, Origin, Output, Ping, PushPull, PushPullNode, Timestamp, WireError, packet,
};

const NOW: Timestamp = Timestamp::from_duration(Duration::from_secs(1000));
const VSN: [u8; 6] = [1, 5, 2, 0, 0, 0];

fn config() -> Config {
    let mut config = Config::new("me", Address::v4([10, 0, 0, 1], 7946));
    config.compression = None;
    config
}

fn machine() -> Machine {
    Machine::new(config(), 7, NOW).expect("the config is valid")
}

fn alive(node: &str, host: u8, incarnation: u32) -> Alive {
    Alive {
        incarnation,
        node: node.to_owned(),
        addr: vec![10, 0, 0, host],
        port: 7946,
        meta: None,
        vsn: Some(VSN.to_vec()),
    }
}

fn accusation(node: &str, incarnation: u32, from: &str) -> Accusation {
    Accusation {
        incarnation,
        node: node.to_owned(),
        from: from.to_owned(),
    }
}

/// A user update whose text says what it is.
fn word(key: &str, ids: &[&str], version: u64) -> Broadcast {
    let payload = format!("{key}{ids:?}{version}");
    Broadcast::new(key, ids.iter().copied(), version, payload)
}

fn handle(machine: &mut Machine, now: Timestamp, message: Message) -> Result<(), WireError> {
    machine.handle_packet(now, "10.0.0.9:7946", &message.encode())
}

fn accept(machine: &mut Machine, message: Message) {
    assert_eq!(handle(machine, NOW, message), Ok(()));
}

fn outputs(machine: &mut Machine) -> Vec<Output> {
    std::iter::from_fn(|| machine.poll_output()).collect()
}

fn events(machine: &mut Machine) -> Vec<Event> {
    let event = |output| match output {
        Output::Event(event) => Some(event),
        _ => None,
    };
    outputs(machine).into_iter().filter_map(event).collect()
}

/// Returns the messages in the packets to send, with their receivers.
fn sent(machine: &mut Machine) -> Vec<(SocketAddr, Message)> {
    let mut sent = Vec::new();
    for output in outputs(machine) {
        if let Output::Packet { to, payload } = output {
            let (messages, error) = packet::decode(&payload);
            assert_eq!(error, None);
            sent.extend(messages.into_iter().map(|message| (to, message)));
        }
    }
    sent
}

/// A machine that knows `n` other nodes called `a`, `b`, ….
fn with_nodes(n: u8) -> Machine {
    let mut machine = machine();
    for host in 0..n {
        let name = char::from(b'a' + host).to_string();
        accept(&mut machine, Message::Alive(alive(&name, 10 + host, 1)));
    }
    outputs(&mut machine);
    machine
}

fn state(machine: &Machine, node: &str) -> Option<NodeState> {
    machine.member(node).map(|node| node.state)
}

/// Runs the machine's timers from the beginning until `end`, handing all messages that it sends to `reply`.
fn run(
    machine: &mut Machine,
    end: Timestamp,
    reply: impl FnMut(&mut Machine, Timestamp, SocketAddr, Message),
) {
    run_between(machine, NOW, end, reply);
}

/// Runs the machine's timers between two points in time.
fn run_between(
    machine: &mut Machine,
    start: Timestamp,
    end: Timestamp,
    mut reply: impl FnMut(&mut Machine, Timestamp, SocketAddr, Message),
) {
    while machine.next_timeout() <= end {
        let now = machine.next_timeout().max(start);
        machine.handle_timeout(now);
        for (to, message) in sent(machine) {
            reply(machine, now, to, message);
        }
    }
}

fn after(seconds: u64) -> Timestamp {
    NOW + Duration::from_secs(seconds)
}

fn answer_pings(machine: &mut Machine, now: Timestamp, _: SocketAddr, message: Message) {
    if let Message::Ping(ping) = message {
        let ack = Ack {
            seq_no: ping.seq_no,
            payload: None,
        };
        assert_eq!(handle(machine, now, Message::Ack(ack)), Ok(()));
    }
}
