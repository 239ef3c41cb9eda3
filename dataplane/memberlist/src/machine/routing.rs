//! Who talks to whom: anybody at random, or along zones.

use std::collections::BTreeMap;

use super::Machine;
use crate::node::{Node, NodeState};
use crate::zone::{self, Role};

/// What zones say about a possible partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Closed,
    Open,
    /// To the bridge of another zone.
    Across,
}

impl Machine {
    /// Chooses up to `count` nodes other than this one, all with the same chance.
    pub(super) fn random_nodes<T>(
        &mut self,
        count: usize,
        accept: impl Fn(&Node) -> bool,
        part: impl Fn(&Node) -> T,
    ) -> Vec<T> {
        let candidates: Vec<&Node> = self
            .nodes
            .values()
            .filter(|node| node.name != self.name && accept(node))
            .collect();
        let chosen = self.rng.choose(candidates, count);
        chosen.into_iter().map(part).collect()
    }

    /// Chooses up to `count` nodes to exchange news with. A bridge has another zone's bridge among them, if there is
    /// one, and that comes first.
    pub(super) fn partners<T>(
        &mut self,
        count: usize,
        accept: impl Fn(&Node) -> bool,
        part: impl Fn(&Node) -> T,
    ) -> Vec<T> {
        if self.config.zone.is_none() || !self.zones_are_bridged() {
            return self.random_nodes(count, accept, part);
        }
        let mut near: Vec<&Node> = Vec::new();
        let mut across: Vec<&Node> = Vec::new();
        for node in self.nodes.values() {
            match self.route(node) {
                _ if node.name == self.name || !accept(node) => {}
                Route::Closed => {}
                Route::Open => near.push(node),
                Route::Across => across.push(node),
            }
        }
        let preferred = match across.len() {
            0 => None,
            len => Some(across.swap_remove(self.rng.below(len))),
        };
        near.extend(across);
        let others = count.saturating_sub(usize::from(preferred.is_some()));
        let others = self.rng.choose(near, others);
        preferred
            .into_iter()
            .chain(others)
            .take(count)
            .map(part)
            .collect()
    }

    /// Returns how many nodes one state exchange is made with.
    pub(super) fn push_pull_nodes(&self) -> usize {
        match &self.config.zone {
            Some(zone) if zone.role == Role::Bridge => 2,
            _ => 1,
        }
    }

    fn route(&self, node: &Node) -> Route {
        let Some(own) = &self.config.zone else {
            return Route::Open;
        };
        match zone::parse(&node.meta) {
            None => Route::Open,
            Some((name, _)) if name == own.name.as_bytes() => Route::Open,
            Some((_, Role::Bridge)) if own.role == Role::Bridge => Route::Across,
            Some(_) => Route::Closed,
        }
    }

    /// Tells whether each zone that has members has a bridge that lives.
    fn zones_are_bridged(&self) -> bool {
        let mut bridged: BTreeMap<&[u8], bool> = BTreeMap::new();
        for node in self.members().filter(|node| node.state.is_member()) {
            if let Some((name, role)) = zone::parse(&node.meta) {
                *bridged.entry(name).or_default() |=
                    role == Role::Bridge && node.state == NodeState::Alive;
            }
        }
        bridged.into_values().all(|bridged| bridged)
    }
}
