//! Prints what happens to the members and the ring.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, bail};
use bench::node::{Event, Kind, VALUE_PREFIX};
use gossip::{Gossip, Kv, Member};
use proto::ring::Desc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{RING, instance, print};

/// Looks at members and ring as long as it is told to.
pub(crate) struct Observer {
    node: usize,
    nodes: usize,
    kv: Kv,
    members: watch::Receiver<Arc<Vec<Member>>>,
    looking: Option<JoinHandle<()>>,
}

/// What to look at.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    ring: bool,
    members: bool,
}

/// What has been seen since an observation began.
struct Sight {
    node: usize,
    nodes: usize,
    present: BTreeSet<String>,
    active: usize,
    values: BTreeSet<String>,
    converged: bool,
}

impl Observer {
    pub(crate) fn new(node: usize, nodes: usize, gossip: &Gossip) -> Self {
        Self {
            node,
            nodes,
            kv: gossip.kv(),
            members: gossip.watch_members(),
            looking: None,
        }
    }

    /// Looks at `all`, the `ring`, the `members` or `nothing` from now on.
    pub(crate) fn observe(&mut self, what: &str) -> Result<()> {
        let (ring, members) = match what {
            "all" => (true, true),
            "ring" => (true, false),
            "members" => (false, true),
            "nothing" => (false, false),
            _ => bail!("cannot observe {what:?}"),
        };
        if let Some(looking) = self.looking.take() {
            looking.abort();
        }
        if !ring && !members {
            return Ok(());
        }
        let sight = Sight {
            node: self.node,
            nodes: self.nodes,
            present: BTreeSet::new(),
            active: 0,
            values: BTreeSet::new(),
            // Later observations are not about joining.
            converged: what != "all",
        };
        let look = Look { ring, members };
        let looking = sight.keep(look, self.kv.clone(), self.members.clone());
        self.looking = Some(tokio::spawn(looking));
        Ok(())
    }
}

impl Sight {
    async fn keep(mut self, look: Look, kv: Kv, mut members: watch::Receiver<Arc<Vec<Member>>>) {
        let mut ring = kv.watch(RING);
        if look.members {
            self.members(&members.borrow_and_update().clone());
        }
        if look.ring {
            drop(ring.borrow_and_update());
            self.ring(&kv.get(RING).unwrap_or_default());
        }
        loop {
            tokio::select! {
                changed = ring.changed(), if look.ring => {
                    if changed.is_err() { return }
                    drop(ring.borrow_and_update());
                    self.ring(&kv.get(RING).unwrap_or_default());
                }
                changed = members.changed(), if look.members => {
                    if changed.is_err() { return }
                    let list = members.borrow_and_update().clone();
                    self.members(&list);
                }
            }
        }
    }

    fn ring(&mut self, ring: &Arc<Desc>) {
        self.active = instance::active(ring);
        let ids = ring.ingesters.keys();
        for id in ids.filter(|id| id.starts_with(VALUE_PREFIX)) {
            if self.values.insert(id.clone()) {
                self.print(Kind::Seen, Some(id));
            }
        }
        self.check_converged();
    }

    fn members(&mut self, members: &[Member]) {
        let present = members.iter().filter(|member| member.is_present());
        let present: BTreeSet<String> = present.map(|member| member.name.clone()).collect();
        for name in self.present.difference(&present) {
            self.print(Kind::Lost, Some(name));
        }
        self.present = present;
        self.check_converged();
    }

    fn check_converged(&mut self) {
        if !self.converged && self.present.len() == self.nodes && self.active == self.nodes {
            self.converged = true;
            self.print(Kind::Converged, None);
        }
    }

    fn print(&self, event: Kind, id: Option<&str>) {
        print(&Event {
            id: id.map(str::to_owned),
            ..Event::now(self.node, event)
        });
    }
}
