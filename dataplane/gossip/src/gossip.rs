//! A running node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use memberlist::{Address, Machine};
use prometheus_client::registry::Registry;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::driver::{COMMAND_QUEUE, Driver, PushPuller, Shutdown};
use crate::join::{self, Joiner, Outcome};
use crate::kv::{self, Kv, Shared};
use crate::member::{Clock, Member};
use crate::metrics::{ClientMetrics, TransportMetrics};
use crate::refusals::Refusals;
use crate::tls::{Follower, Tls, TlsMetrics};
use crate::transport::{self, Listeners, Transport};
use crate::{Compression, Config, GossipError, advertise};

/// A node of the gossip cluster and all of its tasks.
///
/// Dropping it without [`Gossip::shutdown`] stops at once, and peers take the
/// node for crashed.
#[derive(Debug)]
pub struct Gossip {
    name: String,
    advertised: SocketAddr,
    kv: Kv,
    members: watch::Receiver<Arc<Vec<Member>>>,
    outcome: watch::Receiver<Outcome>,
    abort_if_join_fails: bool,
    tasks: Tasks,
}

#[derive(Debug)]
struct Tasks {
    /// The driver, which ends when the node has left.
    driver: TaskTracker,
    /// Everything else.
    others: TaskTracker,
    leave: CancellationToken,
    join: CancellationToken,
    abort: CancellationToken,
    /// How long packets on their way may take at the end.
    flush: Duration,
}

impl Gossip {
    /// Serves `listener` and joins the seeds: a few of them before this
    /// returns, the others in the background. Seeds that do not answer, or
    /// whose names are not known yet, are tried again and are no error unless
    /// the settings say so.
    ///
    /// `seed` starts the random numbers that choose names and peers; it must
    /// differ between nodes.
    ///
    /// # Errors
    ///
    /// See [`GossipError`].
    pub async fn start(
        config: Config,
        listeners: impl Into<Listeners>,
        registry: &mut Registry,
        seed: u64,
    ) -> Result<Self, GossipError> {
        config.validate()?;
        let tls = match config.tls.clone() {
            None => None,
            Some(settings) => Some(Tls::load(settings, TlsMetrics::register(registry)).await?),
        };
        let (gossip, mut joiner) = Self::spawn(&config, listeners.into(), tls, registry, seed)?;
        joiner.fast_join().await?;
        let join = gossip.tasks.join.clone();
        gossip.tasks.others.spawn(async move {
            join.run_until_cancelled(joiner.run()).await;
        });
        Ok(gossip)
    }

    /// Starts the tasks, after everything that can fail.
    fn spawn(
        config: &Config,
        listeners: Listeners,
        tls: Option<(Arc<Tls>, Follower)>,
        registry: &mut Registry,
        seed: u64,
    ) -> Result<(Self, Joiner), GossipError> {
        let mut random = StdRng::seed_from_u64(seed);
        let bound = listeners.local_addr().map_err(GossipError::Listener)?;
        let address = advertise::address(config, bound, &advertise::host_addresses())?;
        let name = advertise::node_name(config, &mut random)?;
        let join_settings = join::Settings::parse(config)?;
        let clock = Clock::start();
        let machine = machine(config, &name, address, random.random(), &clock)?;
        tracing::info!(node = name, addr = %address, label = config.cluster_label, "gossip starts");

        let tasks = Tasks::new(config);
        let tls = tls.map(|(tls, follower)| {
            tasks.spawn(follower.run());
            tls
        });
        let refusals = Refusals::register(registry);
        let parts = transport::Parts {
            config,
            tls,
            advertised: address.socket_addr(),
            metrics: TransportMetrics::register(registry),
            refusals: refusals.clone(),
            abort: tasks.abort.clone(),
            tracker: &tasks.others,
        };
        let transport = Transport::open(listeners, parts);
        let metrics = ClientMetrics::register(registry);
        let shared = Arc::new(Shared::new(config.into(), metrics.clone()));
        let abort = tasks.abort.clone();
        let store = shared.clone().run(name.clone());
        tasks.others.spawn(async move {
            abort.run_until_cancelled(store).await;
        });
        let (command_sender, commands) = mpsc::channel(COMMAND_QUEUE);
        let push_puller = PushPuller::new(
            command_sender,
            transport.dialer,
            config.stream_timeout,
            transport.admission,
            refusals.clone(),
        );
        let (member_sender, members) = watch::channel(Arc::default());
        let (outcome_sender, outcome) = watch::channel(Outcome::Trying);
        let joiner = Joiner::new(
            join_settings,
            push_puller.clone(),
            address.socket_addr(),
            random,
            outcome_sender,
        );
        let driver = Driver {
            machine,
            clock,
            shared: shared.clone(),
            incoming: transport.incoming,
            outgoing: transport.outgoing,
            commands,
            push_puller,
            members: member_sender,
            metrics,
            refusals,
            tracker: tasks.others.clone(),
            shutdown: tasks.shutdown(config),
        };
        tasks.driver.spawn(driver.run());
        let gossip = Self {
            name,
            advertised: address.socket_addr(),
            kv: Kv::new(shared),
            members,
            outcome,
            abort_if_join_fails: config.abort_if_join_fails,
            tasks,
        };
        Ok((gossip, joiner))
    }

    /// Returns the store.
    pub fn kv(&self) -> Kv {
        self.kv.clone()
    }

    /// Returns the nodes that are known now, this one included, by name.
    pub fn members(&self) -> Arc<Vec<Member>> {
        self.members.borrow().clone()
    }

    /// Follows the nodes that are known.
    pub fn watch_members(&self) -> watch::Receiver<Arc<Vec<Member>>> {
        self.members.clone()
    }

    /// Returns this node's name.
    pub fn local_name(&self) -> &str {
        &self.name
    }

    /// Returns the address that peers dial.
    pub fn advertised(&self) -> SocketAddr {
        self.advertised
    }

    /// Returns whether this node is in a cluster: it has no seeds, another
    /// node answered it, or another node has joined it.
    pub fn joined(&self) -> bool {
        let others = || {
            let members = self.members.borrow();
            members.iter().filter(|member| member.is_present()).count() > 1
        };
        *self.outcome.borrow() == Outcome::Joined || others()
    }

    /// Waits until this node cannot go on: joining has failed for good, which
    /// counts only with [`Config::abort_if_join_fails`], or its task has ended
    /// without being asked to.
    pub async fn failed(&self) -> GossipError {
        tokio::select! {
            () = self.join_failed() => GossipError::Join {
                joined: 0,
                required: 1,
            },
            () = self.driver_ended() => GossipError::Ended,
        }
    }

    async fn join_failed(&self) {
        let mut outcome = self.outcome.clone();
        let failed = outcome.wait_for(|outcome| *outcome == Outcome::Failed);
        if !self.abort_if_join_fails || failed.await.is_err() {
            std::future::pending().await
        }
    }

    async fn driver_ended(&self) {
        let mut members = self.members.clone();
        while members.changed().await.is_ok() {}
        if self.tasks.leave.is_cancelled() {
            std::future::pending().await
        }
    }

    /// Sends what this node has changed, tells the others that it leaves, and
    /// stops everything. Changes to the store are refused from now on, so a
    /// component leaves its ring first.
    ///
    /// Takes at most [`Config::broadcast_timeout_on_shutdown`] and
    /// [`Config::leave_timeout`] and the time to write the last packets. Safe
    /// to call twice and to give up on.
    pub async fn shutdown(&self) {
        self.tasks.join.cancel();
        self.tasks.leave.cancel();
        self.tasks.driver.close();
        self.tasks.driver.wait().await;
        // The driver is gone and with it the queue of outgoing packets; those
        // already in it are still written.
        self.tasks.others.close();
        self.tasks.abort.cancel();
        if timeout(self.tasks.flush, self.tasks.others.wait())
            .await
            .is_err()
        {
            tracing::warn!("some packets were not written in time");
        }
    }
}

impl Drop for Gossip {
    fn drop(&mut self) {
        self.tasks.join.cancel();
        self.tasks.abort.cancel();
    }
}

impl Tasks {
    fn new(config: &Config) -> Self {
        Self {
            driver: TaskTracker::new(),
            others: TaskTracker::new(),
            leave: CancellationToken::new(),
            join: CancellationToken::new(),
            abort: CancellationToken::new(),
            flush: config.acquire_writer_timeout
                + config.packet_dial_timeout
                + config.packet_write_timeout,
        }
    }

    /// Runs `work` until the end.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let abort = self.abort.clone();
        self.others.spawn(async move {
            abort.run_until_cancelled(work).await;
        });
    }

    fn shutdown(&self, config: &Config) -> Shutdown {
        Shutdown {
            leave: self.leave.clone(),
            abort: self.abort.clone(),
            drain_timeout: config.broadcast_timeout_on_shutdown,
            leave_timeout: config.leave_timeout,
        }
    }
}

fn machine(
    config: &Config,
    name: &str,
    address: Address,
    seed: u64,
    clock: &Clock,
) -> Result<Machine, GossipError> {
    let mut settings = memberlist::Config::new(name, address);
    settings.label.clone_from(&config.cluster_label);
    settings.verify_label = !config.cluster_label_verification_disabled;
    settings.compression = match config.compression {
        Compression::None => None,
        Compression::Lzw => Some(memberlist::Compression::Lzw),
        Compression::Snappy => Some(memberlist::Compression::Snappy),
    };
    settings.probe_interval = config.probe_interval;
    settings.probe_timeout = config.probe_timeout;
    settings.gossip_interval = config.gossip_interval;
    settings.gossip_nodes = config.gossip_nodes;
    settings.push_pull_interval = config.push_pull_interval;
    settings.gossip_to_the_dead_time = config.gossip_to_dead_nodes_time;
    settings.dead_node_reclaim_time = config.dead_node_reclaim_time;
    settings.retransmit_mult = config.retransmit_factor;
    settings.delegate_versions = kv::DELEGATE_VERSIONS;
    Machine::new(settings, seed, clock.now())
        .map_err(|error| GossipError::invalid(error.field, error.reason))
}
