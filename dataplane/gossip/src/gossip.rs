//! A node that replicates the key-value store.

use std::net::SocketAddr;
use std::sync::Arc;

use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::join::{self, Joiner, Outcome};
use crate::kv::{Kv, Shared};
use crate::member::Member;
use crate::memberlist::Memberlist;
use crate::metrics::ClientMetrics;
use crate::replication::Replication;
use crate::transport::Listeners;
use crate::{Config, GossipError};

/// A node of the gossip cluster and all of its tasks: membership, the
/// replicated store as the application behind it, and joining in the background.
///
/// Dropping it without [`Gossip::shutdown`] stops at once, and peers take the
/// node for crashed.
#[derive(Debug)]
pub struct Gossip {
    memberlist: Memberlist,
    kv: Kv,
    outcome: watch::Receiver<Outcome>,
    abort_if_join_fails: bool,
    join: CancellationToken,
}

impl Gossip {
    /// Serves `listeners` and joins the seeds: a few of them before this
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
        let join_settings = join::Settings::parse(&config)?;
        let metrics = ClientMetrics::register(registry);
        let shared = Arc::new(Shared::new((&config).into(), metrics.clone()));
        let replication = Arc::new(Replication::new(Arc::clone(&shared), &config));
        let listeners = listeners.into();
        let memberlist =
            Memberlist::start(&config, listeners, replication, metrics, registry, seed).await?;
        memberlist.spawn(Arc::clone(&shared).run(memberlist.local_name().to_owned()));

        let (outcome_sender, outcome) = watch::channel(Outcome::Trying);
        let mut joiner = Joiner::new(
            join_settings,
            memberlist.streams(),
            memberlist.advertised(),
            seed,
            outcome_sender,
        );
        joiner.fast_join().await?;
        let join = CancellationToken::new();
        let joining = join.clone();
        memberlist.spawn(async move {
            joining.run_until_cancelled(joiner.run()).await;
        });
        Ok(Self {
            memberlist,
            kv: Kv::new(shared),
            outcome,
            abort_if_join_fails: config.abort_if_join_fails,
            join,
        })
    }

    /// Returns the store.
    pub fn kv(&self) -> Kv {
        self.kv.clone()
    }

    /// Returns the membership that carries the store.
    pub fn memberlist(&self) -> &Memberlist {
        &self.memberlist
    }

    /// Returns the nodes that are known now, this one included, by name.
    pub fn members(&self) -> Arc<Vec<Member>> {
        self.memberlist.members()
    }

    /// Follows the nodes that are known.
    pub fn watch_members(&self) -> watch::Receiver<Arc<Vec<Member>>> {
        self.memberlist.watch_members()
    }

    /// Returns this node's name.
    pub fn local_name(&self) -> &str {
        self.memberlist.local_name()
    }

    /// Returns the address that peers dial.
    pub fn advertised(&self) -> SocketAddr {
        self.memberlist.advertised()
    }

    /// Returns whether this node is in a cluster: it has no seeds, another
    /// node answered it, or another node has joined it.
    pub fn joined(&self) -> bool {
        let others = || {
            let members = self.memberlist.members();
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
            () = self.memberlist.ended() => GossipError::Ended,
        }
    }

    async fn join_failed(&self) {
        let mut outcome = self.outcome.clone();
        let failed = outcome.wait_for(|outcome| *outcome == Outcome::Failed);
        if !self.abort_if_join_fails || failed.await.is_err() {
            std::future::pending().await
        }
    }

    /// Sends what this node has changed, tells the others that it leaves, and
    /// stops everything. Changes to the store are refused from now on, so a
    /// component leaves its ring first.
    ///
    /// See [`Memberlist::leave`] for how long it takes.
    pub async fn shutdown(&self) {
        self.join.cancel();
        self.memberlist.leave().await;
    }
}
