//! The one task that owns the membership machine.
//!
//! It feeds packets, stream messages and time to the machine, does what the
//! machine asks for, and carries messages between the machine and the
//! application:
//!
//! ```text
//! peers ──packets, streams──▶ driver ⇄ Machine
//!                              │ ▲
//!        messages, state, news ▼ │ requests
//!                             Delegate
//! ```

mod command;
mod leave;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use memberlist::{
    Event, KeyError, Machine, Node, Origin, Output, PushPull, PushPullRejected, StreamMessage,
    Timestamp,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::delegate::{Delegate, Request};
use crate::member::{Clock, Member};
use crate::metrics::ClientMetrics;
use crate::news;
use crate::refusals::Refusals;
use crate::transport::{Incoming, IncomingStream, OutgoingPackets, Packet};

pub(crate) use command::{Command, KeyChange};
use leave::Phase;
pub(crate) use streams::{StreamError, Streams};

/// Requests of other tasks that wait for the driver.
pub(crate) const COMMAND_QUEUE: usize = 256;
/// Packets handled before the driver looks at anything else.
const PACKET_BATCH: usize = 32;
/// Longest sleep; the machine may ask for one without end.
const MAX_SLEEP: Duration = Duration::from_secs(60);
/// Period of looking after what no event announces.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// What a driver works with.
pub(crate) struct Driver {
    pub(crate) machine: Machine,
    pub(crate) clock: Clock,
    pub(crate) delegate: Arc<dyn Delegate>,
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: OutgoingPackets,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) streams: Streams,
    pub(crate) members: watch::Sender<Arc<Vec<Member>>>,
    pub(crate) metrics: ClientMetrics,
    pub(crate) refusals: Refusals,
    pub(crate) tracker: TaskTracker,
    pub(crate) shutdown: Shutdown,
}

/// How a driver ends.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown {
    /// Asks the driver to leave the cluster and then to end.
    pub(crate) leave: CancellationToken,
    /// Ends the driver at once.
    pub(crate) abort: CancellationToken,
    /// How long local changes may still be sent before leaving; zero is for
    /// ever.
    pub(crate) drain_timeout: Duration,
    /// How long leaving may take.
    pub(crate) leave_timeout: Duration,
}

impl Driver {
    /// Runs until the node has left or is aborted.
    pub(crate) async fn run(mut self) {
        let abort = self.shutdown.abort.clone();
        abort.run_until_cancelled(self.run_until_left()).await;
    }

    async fn run_until_left(&mut self) {
        let mut phase = Phase::Running;
        let mut housekeeping = interval(HOUSEKEEPING);
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let leave = self.shutdown.leave.clone();
        let waker = self.delegate.waker().unwrap_or_default();
        loop {
            self.settle();
            phase = self.advance(phase);
            if phase == Phase::Left {
                return;
            }
            let wakeup = phase.wakeup(self.next_timeout());
            tokio::select! {
                Some(packet) = self.incoming.packets.recv() => self.handle_packets(packet),
                Some(stream) = self.incoming.streams.recv() => self.handle_stream(stream),
                Some(command) = self.commands.recv() => self.handle_command(command),
                Some(peer) = self.outgoing.unreachable.recv() => {
                    self.machine.handle_unreachable(self.clock.now(), peer);
                }
                () = waker.notified() => {}
                () = sleep_until(wakeup) => self.machine.handle_timeout(self.clock.now()),
                _ = housekeeping.tick() => self.housekeep(),
                () = leave.cancelled(), if phase == Phase::Running => phase = self.start_leaving(),
            }
        }
    }

    fn handle_packets(&mut self, first: Packet) {
        self.handle_packet(&first);
        for _ in 1..PACKET_BATCH {
            match self.incoming.packets.try_recv() {
                Ok(packet) => self.handle_packet(&packet),
                Err(_) => break,
            }
        }
    }

    fn handle_packet(&mut self, packet: &Packet) {
        let now = self.clock.now();
        let handled = self
            .machine
            .handle_packet(now, &packet.from, packet.payload());
        if let Err(error) = handled {
            self.metrics.received_invalid_packets.inc();
            self.refusals.count(error.kind());
            tracing::debug!(%error, "dropped a packet");
        }
    }

    fn handle_stream(&mut self, stream: IncomingStream) {
        let reader = self.machine.request_reader();
        self.spawn(self.streams.clone().serve(stream, reader));
    }

    /// An answer that nobody waits for any more is dropped.
    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Open { join, reply } => {
                let state = self.delegate.local_state(join);
                let request = self.machine.push_pull_request(join, &state);
                let _ = reply.send((request, self.machine.response_reader()));
            }
            Command::Merge { remote, reply } => {
                let merged = self.merge(remote);
                // Who joins sees the members that it found.
                self.settle();
                let _ = reply.send(merged);
            }
            Command::Serve { message, reply } => {
                let _ = reply.send(self.answer(message));
            }
            Command::Refuse { error, reply } => {
                let _ = reply.send(self.machine.stream_refusal(&error));
            }
            Command::Ack(ack) => self.machine.handle_stream_ack(self.clock.now(), &ack),
            Command::Broadcast(broadcast) => self.machine.broadcast(Origin::Local, broadcast),
            Command::Send { to, message, reply } => {
                let _ = reply.send(self.machine.send_best_effort(to, &message));
            }
            Command::UserStream { message, reply } => {
                let _ = reply.send(self.machine.user_stream(&message));
            }
            Command::UpdateMeta { meta, reply } => {
                let _ = reply.send(self.machine.update_meta(meta.to_vec()));
            }
            Command::SetAckPayload { payload, reply } => {
                let _ = reply.send(self.machine.set_ack_payload(&payload));
            }
            Command::ChangeKeys { change, reply } => {
                let _ = reply.send(self.change_keys(&change));
            }
        }
    }

    fn change_keys(&mut self, change: &KeyChange) -> Result<(), KeyError> {
        let keyring = self.machine.keyring_mut();
        let keyring = keyring.expect("every machine here is built with a ring of keys");
        match change {
            KeyChange::Install(key) => keyring.install(key),
            KeyChange::Use(key) => keyring.use_key(key),
            KeyChange::Remove(key) => keyring.remove(key),
        }
    }

    /// Returns the answer to a stream message; `None` closes the stream.
    fn answer(&mut self, message: StreamMessage) -> Option<Vec<u8>> {
        match message {
            StreamMessage::PushPull(remote) => {
                // The answer is the state before the merge, as in memberlist.
                let state = self.delegate.local_state(remote.join);
                let answer = self.machine.push_pull_response(remote.join, &state);
                if let Err(error) = self.merge(remote) {
                    self.refusals.count(error.kind());
                    tracing::warn!(%error, "rejected a push/pull");
                }
                Some(answer)
            }
            StreamMessage::Ping(ping) => self.machine.stream_ping_reply(&ping),
            StreamMessage::User(message) => {
                self.delegate.message(message);
                None
            }
            StreamMessage::Error(error) => {
                tracing::warn!(error, "peer reports an error");
                None
            }
            // Nobody was asked on this stream.
            StreamMessage::Ack(_) => None,
        }
    }

    fn merge(&mut self, remote: PushPull) -> Result<(), PushPullRejected> {
        let merged = self.machine.handle_push_pull(self.clock.now(), &remote)?;
        if let Some(error) = merged.first_error {
            self.refusals.count(error.kind());
            tracing::debug!(skipped = merged.skipped, %error, "skipped records of a push/pull");
        }
        self.delegate.merge_state(remote.user_state, remote.join);
        Ok(())
    }

    /// Does what the machine and the application ask for until neither does.
    fn settle(&mut self) {
        loop {
            for request in self.delegate.take_requests() {
                self.fulfil(request);
            }
            let Some(first) = self.machine.poll_output() else {
                return;
            };
            let mut events = Vec::new();
            self.perform(first, &mut events);
            while let Some(output) = self.machine.poll_output() {
                self.perform(output, &mut events);
            }
            self.tell(&events);
        }
    }

    fn perform(&mut self, output: Output, events: &mut Vec<Event>) {
        match output {
            Output::Packet { to, payload } => self.outgoing.send(to, payload),
            Output::PushPull { to, .. } => self.push_pull(to),
            Output::StreamPing {
                to,
                request,
                deadline,
                ..
            } => self.ping(to, request, deadline),
            Output::UserMessage(message) => self.delegate.message(message),
            Output::Event(event) => events.push(event),
        }
    }

    /// Tells everybody what happened. The list of members is up to date when
    /// the application hears of it.
    fn tell(&self, events: &[Event]) {
        if events.iter().any(news::changes_members) {
            self.publish_members();
        }
        for event in events {
            news::log(event);
            if let Some(event) = news::member_event(event, &self.clock) {
                self.delegate.event(&event);
            }
        }
    }

    fn fulfil(&mut self, request: Request) {
        match request {
            Request::Broadcast(origin, broadcast) => self.machine.broadcast(origin, broadcast),
            Request::PushPull => {
                // Not now is as good: another chance to ask comes with the next gap.
                self.machine.request_push_pull(self.clock.now());
            }
        }
    }

    fn push_pull(&self, to: SocketAddr) {
        let streams = self.streams.clone();
        self.spawn(async move {
            if let Err(error) = streams.push_pull(to, false).await {
                tracing::info!(peer = %to, %error, "push/pull failed");
            }
        });
    }

    fn ping(&self, to: SocketAddr, request: Vec<u8>, deadline: Timestamp) {
        let streams = self.streams.clone();
        let reader = self.machine.response_reader();
        let deadline = self.clock.instant(deadline);
        self.spawn(async move {
            if let Err(error) = streams.ping(to, request, reader, deadline).await {
                tracing::debug!(peer = %to, %error, "ping by stream failed");
            }
        });
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let abort = self.shutdown.abort.clone();
        self.tracker.spawn(async move {
            abort.run_until_cancelled(work).await;
        });
    }

    fn housekeep(&mut self) {
        self.delegate.tick();
        self.metrics.set_queued(
            self.machine.queued_broadcasts(Origin::Local),
            self.machine.queued_broadcasts(Origin::Forwarded),
        );
        self.metrics
            .health_score
            .set(self.machine.health_score().into());
        // No event tells that a member is forgotten, or refuted a suspicion.
        if !self.is_published() {
            self.publish_members();
        }
    }

    /// Returns whether the published list is what the machine knows. Both are
    /// ordered by name.
    fn is_published(&self) -> bool {
        let published = self.members.borrow();
        let same = |(member, node): (&Member, &Node)| member.describes(node);
        published.len() == self.machine.members().count()
            && published.iter().zip(self.machine.members()).all(same)
    }

    pub(crate) fn publish_members(&self) {
        let alive = i64::try_from(self.machine.alive_count()).unwrap_or(i64::MAX);
        self.metrics.members.set(alive);
        let mut members: Vec<Member> = self
            .machine
            .members()
            .map(|node| Member::new(node, &self.clock))
            .collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        self.members.send_replace(Arc::new(members));
    }

    fn next_timeout(&self) -> Instant {
        let now = self.clock.now();
        let wait = self.machine.next_timeout().saturating_since(now);
        Instant::now() + wait.min(MAX_SLEEP)
    }
}
