//! The one task that owns the membership machine.
//!
//! It feeds packets, stream messages and time to the machine, does what the
//! machine asks for, and carries changes between the machine and the store:
//!
//! ```text
//! peers ──packets, streams──▶ driver ⇄ Machine
//!                              │ ▲
//!                 user messages▼ │local changes
//!                              Store ⇄ Kv handles
//! ```

mod leave;
mod push_pull;

use std::sync::Arc;
use std::time::Duration;

use memberlist::{Event, Machine, Origin, Output, PushPull, StreamMessage};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::kv::Shared;
use crate::member::{Clock, Member};
use crate::metrics::ClientMetrics;
use crate::refusals::{Refusal, Refusals};
use crate::transport::{Incoming, IncomingStream, OutgoingPackets, Packet};

use leave::Phase;
pub(crate) use push_pull::{Command, PushPuller};

/// Requests of stream tasks that wait for the driver.
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
    pub(crate) shared: Arc<Shared>,
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: OutgoingPackets,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) push_puller: PushPuller,
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
        let shared = self.shared.clone();
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
                Some(peer) = self.outgoing.unreachable.recv() => {
                    tracing::debug!(%peer, "nobody listens at the address of a peer");
                }
                Some(command) = self.commands.recv() => self.handle_command(command),
                () = shared.changed.notified() => {}
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
            self.refusals.count((&error).into());
            tracing::debug!(%error, "dropped a packet");
        }
    }

    fn handle_stream(&mut self, stream: IncomingStream) {
        let reader = self.machine.request_reader();
        let serve = self.push_puller.clone().serve(stream, reader);
        let abort = self.shutdown.abort.clone();
        self.tracker.spawn(async move {
            abort.run_until_cancelled(serve).await;
        });
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Open { join, reply } => {
                let request = self
                    .machine
                    .push_pull_request(join, &self.shared.full_state());
                drop(reply.send((request, self.machine.response_reader())));
            }
            Command::Merge { remote, reply } => drop(reply.send(self.merge(remote))),
            Command::Serve { message, reply } => drop(reply.send(self.answer(message))),
        }
    }

    /// Returns the answer to a stream message; `None` closes the stream.
    fn answer(&mut self, message: StreamMessage) -> Option<Vec<u8>> {
        match message {
            StreamMessage::PushPull(remote) => {
                // The answer is the state before the merge, as in memberlist.
                let state = self.shared.full_state();
                let answer = self.machine.push_pull_response(remote.join, &state);
                if let Err(error) = self.merge(remote) {
                    self.refusals.count(Refusal::Members);
                    tracing::warn!(%error, "rejected a push/pull");
                }
                Some(answer)
            }
            StreamMessage::Ping(ping) => self.machine.stream_ping_reply(&ping),
            StreamMessage::User(message) => {
                self.receive(message);
                None
            }
            StreamMessage::Error(error) => {
                tracing::warn!(error, "peer reports an error");
                None
            }
            // Only answers hold acks.
            StreamMessage::Ack(_) => None,
        }
    }

    fn merge(&mut self, remote: PushPull) -> Result<(), memberlist::PushPullRejected> {
        self.machine.handle_push_pull(self.clock.now(), &remote)?;
        for broadcast in self.shared.receive_state(remote.user_state) {
            self.machine.broadcast(Origin::Forwarded, broadcast);
        }
        Ok(())
    }

    fn receive(&mut self, message: bytes::Bytes) {
        if let Some(broadcast) = self.shared.receive(message) {
            self.machine.broadcast(Origin::Forwarded, broadcast);
        }
    }

    /// Does what the machine and the store ask for until neither does.
    fn settle(&mut self) {
        if self.shared.take_push_pull_request() {
            self.machine.request_push_pull(self.clock.now());
        }
        for broadcast in self.shared.take_outbox() {
            self.machine.broadcast(Origin::Local, broadcast);
        }
        let mut members_changed = false;
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Packet { to, payload } => self.outgoing.send(to, payload),
                Output::PushPull { to, .. } => self.push_pull(to),
                Output::UserMessage(message) => self.receive(message),
                // Machines of the dskit dialect ask for none.
                Output::StreamPing { .. } => {}
                Output::Event(Event::PingCompleted { .. }) => {}
                Output::Event(event) => {
                    log(&event);
                    members_changed = true;
                }
            }
        }
        if members_changed {
            self.publish_members();
        }
    }

    fn push_pull(&self, to: std::net::SocketAddr) {
        let push_puller = self.push_puller.clone();
        let abort = self.shutdown.abort.clone();
        self.tracker.spawn(async move {
            let exchange = push_puller.push_pull(to, false);
            if let Some(Err(error)) = abort.run_until_cancelled(exchange).await {
                tracing::info!(peer = %to, %error, "push/pull failed");
            }
        });
    }

    fn housekeep(&mut self) {
        self.shared.forget_deleted();
        self.metrics.set_queued(
            self.machine.queued_broadcasts(Origin::Local),
            self.machine.queued_broadcasts(Origin::Forwarded),
        );
        self.metrics
            .health_score
            .set(self.machine.health_score().into());
        self.publish_members();
    }

    fn publish_members(&self) {
        let alive = i64::try_from(self.machine.alive_count()).unwrap_or(i64::MAX);
        self.metrics.members.set(alive);
        let mut members: Vec<Member> = self
            .machine
            .members()
            .map(|node| Member::new(node, &self.clock))
            .collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        self.members.send_if_modified(|published| {
            let changed = **published != members;
            if changed {
                *published = Arc::new(members);
            }
            changed
        });
    }

    fn next_timeout(&self) -> Instant {
        let now = self.clock.now();
        let wait = self.machine.next_timeout().saturating_since(now);
        Instant::now() + wait.min(MAX_SLEEP)
    }
}

fn log(event: &Event) {
    match event {
        Event::Joined(node) => {
            tracing::info!(node = %node.name, addr = %node.address, "member joined")
        }
        Event::Left(node) => tracing::info!(node = %node.name, "member left"),
        Event::Dead(node) => {
            tracing::warn!(node = %node.name, addr = %node.address, "member is dead")
        }
        Event::Suspected(node) => tracing::info!(node = %node.name, "member is suspected"),
        Event::Refuted { incarnation } => {
            tracing::info!(incarnation, "refuted a rumour about this node")
        }
        Event::Conflict {
            name,
            known,
            offered,
        } => {
            tracing::warn!(node = %name, %known, %offered, "two members claim one name");
        }
        event => tracing::debug!(?event, "member changed"),
    }
}
