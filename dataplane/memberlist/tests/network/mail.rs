//! What hosts make of packets and streams that arrive.

use std::time::Duration;

use pyroscope_memberlist::{PushPull, StreamMessage, StreamReader};

use super::host::{Letter, Reaction, Replica};
use super::{Network, Parcel, STREAM_TIMEOUT, octets};

impl<R: Replica> Network<R> {
    pub(super) fn arrive(&mut self, letter: Letter) {
        let host = octets(letter.to).host;
        let place = &mut self.hosts[host];
        if place.process.is_none() && place.address.socket_addr() == letter.to {
            self.reset(&letter);
            return;
        }
        let reset = letter.to_life.is_some_and(|life| life != place.life);
        if place.address.socket_addr() != letter.to || reset {
            return;
        }
        if place.is_stopped() {
            place.keep(letter);
        } else {
            self.deliver(host, letter);
        }
    }

    /// Tells the sender, if it still runs, that nobody listens there.
    fn reset(&mut self, letter: &Letter) {
        let from = &self.hosts[letter.from];
        let is_there = from.life == letter.from_life && !from.is_stopped();
        if self.refuses_connections && is_there {
            self.act_on(letter.from, |process, now| {
                process.machine.handle_unreachable(now, letter.to);
                Reaction::default()
            });
        }
    }

    pub(super) fn deliver(&mut self, host: usize, letter: Letter) {
        match letter.parcel {
            Parcel::Packet(payload) => self.handle_packet(host, &letter.source, &payload),
            Parcel::Request { bytes, opened } => {
                if let Some(bytes) = self.answer(host, &bytes) {
                    let to = self.hosts[letter.from].address.socket_addr();
                    let parcel = Parcel::Response {
                        bytes: bytes.into(),
                        opened,
                    };
                    self.send(host, to, Some(letter.from_life), parcel);
                }
            }
            Parcel::StreamPing { bytes, deadline } => {
                if let Some(bytes) = self.answer_ping(host, &bytes) {
                    let to = self.hosts[letter.from].address.socket_addr();
                    let parcel = Parcel::StreamAck {
                        bytes: bytes.into(),
                        deadline,
                    };
                    self.send(host, to, Some(letter.from_life), parcel);
                }
            }
            Parcel::StreamAck { bytes, deadline } => {
                if self.now <= deadline {
                    self.take_ack(host, &bytes);
                }
            }
            Parcel::Response { bytes, opened } => {
                if self.now.saturating_since(opened) <= STREAM_TIMEOUT {
                    self.take_answer(host, &bytes);
                }
            }
        }
    }

    pub(super) fn handle_packet(&mut self, host: usize, source: &str, payload: &[u8]) {
        let mut refusal = None;
        self.act(host, |process, now| {
            refusal = process.machine.handle_packet(now, source, payload).err();
            Reaction::default()
        });
        if let Some(error) = refusal {
            self.refuse(host, &error.to_string());
        }
    }

    fn answer(&mut self, host: usize, bytes: &[u8]) -> Option<Vec<u8>> {
        let process = self.process(host);
        let remote = match read_state(process.machine.request_reader(), bytes) {
            Ok(remote) => remote,
            Err(error) => {
                self.refuse(host, &error);
                return None;
            }
        };
        let process = self.hosts[host].process.as_mut().expect("the host runs");
        let state = process.replica.state();
        let response = process.machine.push_pull_response(remote.join, &state);
        self.merge(host, &remote);
        Some(response)
    }

    fn answer_ping(&mut self, host: usize, bytes: &[u8]) -> Option<Vec<u8>> {
        let reader = self.process(host).machine.request_reader();
        let mut answer = None;
        match read(reader, bytes) {
            Ok(StreamMessage::Ping(ping)) => self.act(host, |process, _| {
                answer = process.machine.stream_ping_reply(&ping);
                Reaction::default()
            }),
            other => self.refuse(host, &format!("a ping on a stream: {other:?}")),
        }
        answer
    }

    fn take_ack(&mut self, host: usize, bytes: &[u8]) {
        let reader = self.process(host).machine.response_reader();
        match read(reader, bytes) {
            Ok(StreamMessage::Ack(ack)) => self.act(host, |process, now| {
                process.machine.handle_stream_ack(now, &ack);
                Reaction::default()
            }),
            other => self.refuse(host, &format!("an ack on a stream: {other:?}")),
        }
    }

    fn take_answer(&mut self, host: usize, bytes: &[u8]) {
        match read_state(self.process(host).machine.response_reader(), bytes) {
            Ok(remote) => {
                self.merge(host, &remote);
                let rejoin = self.rejoin;
                let pause = self
                    .random
                    .between(Duration::ZERO, rejoin.unwrap_or_default());
                let now = self.now;
                let process = self.hosts[host].process.as_mut();
                if let Some(joiner) = process.and_then(|process| process.joiner.as_mut())
                    && !joiner.joined
                {
                    joiner.joined = true;
                    joiner.next = now + pause;
                }
            }
            Err(error) => self.refuse(host, &error),
        }
    }

    fn merge(&mut self, host: usize, remote: &PushPull) {
        let mut refusal = None;
        self.act(host, |process, now| {
            match process.machine.handle_push_pull(now, remote) {
                Ok(merged) => {
                    refusal = merged.first_error.map(|error| error.to_string());
                    process.replica.merge(now, &remote.user_state)
                }
                Err(error) => {
                    refusal = Some(error.to_string());
                    Reaction::default()
                }
            }
        });
        if let Some(error) = refusal {
            self.refuse(host, &error);
        }
    }

    fn refuse(&mut self, host: usize, error: &str) {
        self.trace
            .note(self.now, format_args!("node-{host} refuses: {error}"));
        if self.refusals.len() < 100 {
            self.refusals.push(format!("node-{host}: {error}"));
        }
    }
}

/// Reads a stream in pieces, as a socket hands it out.
fn read(mut reader: StreamReader, bytes: &[u8]) -> Result<StreamMessage, String> {
    for piece in bytes.chunks(4096) {
        match reader.feed(piece) {
            Ok(None) => {}
            Ok(Some(message)) => return Ok(message),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("the stream is not complete".to_owned())
}

fn read_state(reader: StreamReader, bytes: &[u8]) -> Result<PushPull, String> {
    match read(reader, bytes)? {
        StreamMessage::PushPull(state) => Ok(state),
        other => Err(format!("not a push/pull: {other:?}")),
    }
}
