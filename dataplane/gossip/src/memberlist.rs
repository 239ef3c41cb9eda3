//! Membership as a library.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use memberlist::Broadcast;
use prometheus_client::registry::Registry;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::delegate::Delegate;
use crate::discovery::{Discovery, Seed};
use crate::driver::{COMMAND_QUEUE, Command, Driver, KeyChange, Shutdown, Streams};
use crate::member::{Clock, Member};
use crate::metrics::{ClientMetrics, TransportMetrics};
use crate::refusals::Refusals;
use crate::tls::{Tls, TlsMetrics};
use crate::transport::{self, Listeners, Transport};
use crate::{Config, GossipError, SendError, advertise, machine};

/// A node of a cluster, without opinions on what the cluster is for.
///
/// The counterpart of HashiCorp's library of the same name; with
/// [`Dialect::Classic`](crate::Dialect::Classic) it joins the clusters of those
/// who use that. What an application adds is its [`Delegate`].
/// [`Gossip`](crate::Gossip) is such an application.
///
/// Dropping it without [`Memberlist::leave`] stops at once, and peers take the
/// node for crashed.
///
/// ```
/// use std::sync::Arc;
/// use prometheus_client::registry::Registry;
/// use pyroscope_gossip::{Config, Dialect, Listeners, Memberlist};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let start = async |name: &str| -> Result<Memberlist, Box<dyn std::error::Error>> {
///     let config = Config { node_name: name.into(), ..Config::local() };
///     let address = "127.0.0.1:0".parse()?;
///     let listeners = Listeners::bind(&[address], Dialect::Classic).await?;
///     let mut metrics = Registry::default();
///     let seed = rand::random();
///     Ok(Memberlist::create(config, listeners, Arc::new(()), &mut metrics, seed).await?)
/// };
/// let (one, other) = (start("one").await?, start("other").await?);
/// let reached = other.join(&[one.advertised().to_string()]).await?;
/// assert_eq!((reached, other.members().len()), (1, 2));
/// other.leave().await;
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Debug)]
pub struct Memberlist {
    name: String,
    advertised: SocketAddr,
    default_port: u16,
    members: watch::Receiver<Arc<Vec<Member>>>,
    streams: Streams,
    tasks: Tasks,
}

#[derive(Debug)]
struct Tasks {
    /// The driver, which ends when the node has left.
    driver: TaskTracker,
    /// Everything else.
    others: TaskTracker,
    leave: CancellationToken,
    abort: CancellationToken,
    /// How long packets on their way may take at the end.
    flush: Duration,
}

impl Memberlist {
    /// Serves `listeners` as a cluster of one node.
    ///
    /// `seed` starts the random numbers that choose names and peers; it must
    /// differ between nodes.
    ///
    /// # Errors
    ///
    /// See [`GossipError`].
    pub async fn create(
        config: Config,
        listeners: impl Into<Listeners>,
        delegate: Arc<dyn Delegate>,
        registry: &mut Registry,
        seed: u64,
    ) -> Result<Self, GossipError> {
        let metrics = ClientMetrics::register(registry);
        Self::start(&config, listeners.into(), delegate, metrics, registry, seed).await
    }

    /// Like [`Self::create`], for an application with metrics of its own.
    pub(crate) async fn start(
        config: &Config,
        listeners: Listeners,
        delegate: Arc<dyn Delegate>,
        metrics: ClientMetrics,
        registry: &mut Registry,
        seed: u64,
    ) -> Result<Self, GossipError> {
        config.validate()?;
        let tls = match config.tls.clone() {
            None => None,
            Some(settings) => Some(Tls::load(settings, TlsMetrics::register(registry)).await?),
        };
        let mut random = StdRng::seed_from_u64(seed);
        let bound = listeners.local_addr().map_err(GossipError::Listener)?;
        let address = advertise::address(config, bound, &advertise::host_addresses())?;
        let name = advertise::node_name(config, &mut random)?;
        let clock = Clock::start();
        let seed = random.random();
        let machine = machine::build(config, &*delegate, &name, address, seed, clock.now())?;
        // Nothing can fail from here on.
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
        let (command_sender, commands) = mpsc::channel(COMMAND_QUEUE);
        let streams = Streams::new(
            command_sender,
            transport.dialer,
            config.stream_timeout,
            transport.admission,
            refusals.clone(),
        );
        let (member_sender, members) = watch::channel(Arc::default());
        let driver = Driver {
            machine,
            clock,
            delegate,
            incoming: transport.incoming,
            outgoing: transport.outgoing,
            commands,
            streams: streams.clone(),
            members: member_sender,
            metrics,
            refusals,
            tracker: tasks.others.clone(),
            shutdown: tasks.shutdown(config),
        };
        driver.publish_members();
        tasks.driver.spawn(driver.run());
        Ok(Self {
            name,
            advertised: address.socket_addr(),
            default_port: config.default_port,
            members,
            streams,
            tasks,
        })
    }

    /// Joins the cluster of the nodes at `addresses`, written as
    /// [`Config::join`], and returns how many answered. Each one found is
    /// asked once; this node itself is left out.
    ///
    /// # Errors
    ///
    /// [`GossipError::Join`] when nobody answered, and
    /// [`GossipError::InvalidConfig`] when an address cannot be understood.
    pub async fn join(&self, addresses: &[impl AsRef<str>]) -> Result<usize, GossipError> {
        let seeds: Vec<Seed> = addresses
            .iter()
            .map(|address| Seed::parse(address.as_ref(), self.default_port))
            .collect::<Result<_, _>>()?;
        let mut joined = 0;
        for address in Discovery::new().resolve(&seeds).await {
            if address == self.advertised {
                continue;
            }
            match self.streams.push_pull(address, true).await {
                Ok(()) => joined += 1,
                Err(error) => tracing::info!(seed = %address, %error, "cannot join a seed"),
            }
        }
        match joined {
            0 => Err(GossipError::Join {
                joined,
                required: 1,
            }),
            joined => Ok(joined),
        }
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

    /// Changes the data that is gossiped with the record of this node.
    ///
    /// # Errors
    ///
    /// [`SendError::Refused`] when it has more than 512 bytes, or
    /// zone-aware routing needs the place.
    pub async fn update_meta(&self, meta: Bytes) -> Result<(), SendError> {
        let updated = self
            .streams
            .ask(|reply| Command::UpdateMeta { meta, reply });
        updated.await?.map_err(SendError::refused)
    }

    /// Changes the data that goes along with every answer to a ping.
    ///
    /// # Errors
    ///
    /// [`SendError::Refused`] when it has more than 1024 bytes.
    pub async fn set_ack_payload(&self, payload: Bytes) -> Result<(), SendError> {
        let set = self
            .streams
            .ask(|reply| Command::SetAckPayload { payload, reply });
        set.await?.map_err(SendError::refused)
    }

    /// Sends a message to one node by a packet, which may get lost.
    ///
    /// # Errors
    ///
    /// [`SendError::Refused`] when it does not fit into a packet.
    pub async fn send_best_effort(&self, to: SocketAddr, message: Bytes) -> Result<(), SendError> {
        let sent = self
            .streams
            .ask(|reply| Command::Send { to, message, reply });
        sent.await?.map_err(SendError::refused)
    }

    /// Sends a message to one node by a stream. `Ok` says that the stream
    /// took it, not that the node understood it.
    ///
    /// # Errors
    ///
    /// [`SendError::Stream`] when the node cannot be reached.
    pub async fn send_reliable(&self, to: SocketAddr, message: Bytes) -> Result<(), SendError> {
        Ok(self.streams.send(to, message).await?)
    }

    /// Spreads a message to all nodes. It replaces one with the same key and
    /// a lower version that is still being sent.
    ///
    /// # Errors
    ///
    /// [`SendError::Stopped`] only.
    pub async fn broadcast(&self, broadcast: Broadcast) -> Result<(), SendError> {
        Ok(self.streams.tell(Command::Broadcast(broadcast)).await?)
    }

    /// Adds a key that messages can be decrypted with. The first step of
    /// changing the key of a cluster, to be done on every node.
    ///
    /// # Errors
    ///
    /// [`SendError::Refused`] when the key does not have 16, 24 or 32 bytes, or
    /// there are too many.
    pub async fn install_key(&self, key: Bytes) -> Result<(), SendError> {
        self.change_keys(KeyChange::Install(key)).await
    }

    /// Encrypts messages with a key that was installed on every node.
    ///
    /// # Errors
    ///
    /// [`SendError::Refused`] when it is not installed here.
    pub async fn use_key(&self, key: Bytes) -> Result<(), SendError> {
        self.change_keys(KeyChange::Use(key)).await
    }

    /// Forgets a key that no node encrypts with any more.
    ///
    /// # Errors
    ///
    /// [`SendError::Refused`] when it is the one in use.
    pub async fn remove_key(&self, key: Bytes) -> Result<(), SendError> {
        self.change_keys(KeyChange::Remove(key)).await
    }

    async fn change_keys(&self, change: KeyChange) -> Result<(), SendError> {
        let changed = self
            .streams
            .ask(|reply| Command::ChangeKeys { change, reply });
        changed.await?.map_err(SendError::refused)
    }

    /// Sends what waits to be spread, tells the others that this node leaves,
    /// and stops everything.
    ///
    /// Takes at most [`Config::broadcast_timeout_on_shutdown`] and
    /// [`Config::leave_timeout`] and the time to write the last packets. Safe
    /// to call twice and to give up on.
    pub async fn leave(&self) {
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

    /// Waits until the node's task has ended without being asked to.
    pub(crate) async fn ended(&self) {
        let mut members = self.members.clone();
        while members.changed().await.is_ok() {}
        if self.tasks.leave.is_cancelled() {
            std::future::pending().await
        }
    }

    pub(crate) fn streams(&self) -> Streams {
        self.streams.clone()
    }

    /// Runs `work` until the node has left.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }
}

impl Drop for Memberlist {
    fn drop(&mut self) {
        self.tasks.abort.cancel();
    }
}

impl Tasks {
    fn new(config: &Config) -> Self {
        Self {
            driver: TaskTracker::new(),
            others: TaskTracker::new(),
            leave: CancellationToken::new(),
            abort: CancellationToken::new(),
            flush: config.acquire_writer_timeout
                + config.packet_dial_timeout
                + config.packet_write_timeout,
        }
    }

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
