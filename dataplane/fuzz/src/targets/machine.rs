//! A node that hears anything, in any order, at any time.

use std::time::Duration;

use memberlist::{
    Address, Broadcast, Config, Machine, NodeState, Origin, Output, StreamMessage, Timestamp,
    packet,
};

use crate::seeds;

/// What happens next, by the first byte of a step; its length and content follow.
mod step {
    pub(super) const PACKET: u8 = 0;
    pub(super) const STREAM: u8 = 1;
    pub(super) const TIME: u8 = 2;
    /// Any other is a broadcast.
    pub(super) const COUNT: u8 = 4;
}

/// The most steps of an input: more find nothing new and are slow.
const MOST_STEPS: usize = 64;

pub(crate) fn check(data: &[u8]) {
    let mut config = Config::new("me", Address::v4([127, 0, 0, 1], 7946));
    config.verify_label = false;
    let mut node = Node {
        machine: Machine::new(config, 1, Timestamp::ZERO).expect("the settings are valid"),
        now: Timestamp::from_duration(Duration::from_secs(1)),
        incarnation: 0,
    };
    for (kind, content) in steps(data).take(MOST_STEPS) {
        node.step(kind, content);
        node.check();
    }
    // Whatever it was told, it goes on: probes, suspicions, gossip and their ends.
    for _ in 0..50 {
        node.pass_time();
        node.check();
    }
}

struct Node {
    machine: Machine,
    now: Timestamp,
    incarnation: u32,
}

impl Node {
    fn step(&mut self, kind: u8, content: &[u8]) {
        match kind {
            step::PACKET => {
                let _ = self.machine.handle_packet(self.now, "127.0.0.1:1", content);
            }
            step::STREAM => {
                let read = self.machine.request_reader().feed(content);
                if let Ok(Some(StreamMessage::PushPull(state))) = read {
                    let _ = self.machine.handle_push_pull(self.now, &state);
                }
            }
            step::TIME => self.pass_time(),
            _ => self.machine.broadcast(
                Origin::Forwarded,
                Broadcast::new("key", ["id"], 1, content.to_vec()),
            ),
        }
    }

    fn pass_time(&mut self) {
        self.now = self.now.max(self.machine.next_timeout());
        self.machine.handle_timeout(self.now);
    }

    fn check(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            if let Output::Packet { payload, .. } = output {
                let (_, rest) = packet::split_label(&payload).expect("it labels properly");
                let (messages, error) = packet::decode(rest);
                assert!(
                    error.is_none() && !messages.is_empty(),
                    "it sends what nobody reads: {error:?}"
                );
            }
        }
        let local = self.machine.local();
        assert_eq!(local.state, NodeState::Alive, "no stranger ends a node");
        assert!(
            local.incarnation >= self.incarnation,
            "time does not go back"
        );
        self.incarnation = local.incarnation;
        assert!(self.machine.alive_count() >= 1);
        for member in self.machine.members() {
            assert!(
                !member.name.is_empty() && member.name.len() <= 255 && member.meta.len() <= 512
            );
        }
    }
}

/// Splits an input into steps: kind, length in two bytes, content.
fn steps(mut data: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&[kind, high, low], rest) = data.split_first_chunk::<3>()?;
        let length = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
        let (content, rest) = rest.split_at(length);
        data = rest;
        Some((kind % step::COUNT, content))
    })
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let of_kind = |kind: u8| {
        move |content: Vec<u8>| {
            let length = (content.len() as u16).to_be_bytes();
            [
                &[kind, length[0], length[1]],
                &content[..],
                &[step::TIME, 0, 0],
            ]
            .concat()
        }
    };
    let packets = seeds::packets().into_iter().map(of_kind(step::PACKET));
    let streams = seeds::streams().into_iter().map(of_kind(step::STREAM));
    let messages = seeds::messages().into_iter().map(of_kind(step::PACKET));
    let mut all: Vec<Vec<u8>> = packets.chain(streams).chain(messages).collect();
    all.retain(|seed| seed.len() < 0xFFFF);
    let together: Vec<u8> = all.iter().take(30).flatten().copied().collect();
    all.push(together);
    all
}
