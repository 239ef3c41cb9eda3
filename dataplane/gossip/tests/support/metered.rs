//! Nodes with their metrics.

#![allow(dead_code)] // Each test program uses its part.

use std::time::Duration;

use prometheus_client::registry::Registry;
use pyroscope_gossip::{Config, Gossip};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::support::PATIENCE;

/// A node and the registry of its metrics.
pub(crate) struct Metered {
    pub(crate) node: Gossip,
    registry: Registry,
}

impl Metered {
    pub(crate) async fn start(config: Config) -> Self {
        let mut registry = Registry::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = Gossip::start(config, listener, &mut registry, rand::random()).await;
        Self {
            node: node.unwrap(),
            registry,
        }
    }

    /// Returns all metrics as they are scraped.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    /// Returns a metric, whose labels belong to its name. What was not counted
    /// yet has no line.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.text();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or(0)
    }

    /// Returns how often something was refused for this reason.
    pub(crate) fn refused(&self, reason: &str) -> u64 {
        self.metric(&format!(
            "pyroscope_memberlist_refused_total{{reason=\"{reason}\"}}"
        ))
    }

    /// Waits until a metric satisfies `condition`; nothing else tells.
    pub(crate) async fn until_metric(&self, name: &str, condition: impl Fn(u64) -> bool) {
        let waiting = async {
            while !condition(self.metric(name)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "{name} in\n{}", self.text());
    }

    /// Waits until something was refused this often for this reason.
    pub(crate) async fn until_refused(&self, reason: &str, count: u64) {
        let name = format!("pyroscope_memberlist_refused_total{{reason=\"{reason}\"}}");
        self.until_metric(&name, |value| value >= count).await;
    }
}
