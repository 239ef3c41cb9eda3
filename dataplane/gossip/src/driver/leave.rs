//! How a node leaves the cluster.

use std::time::Duration;

use memberlist::Origin;
use tokio::time::Instant;

use super::Driver;

/// Where a node is in leaving.
///
/// ```text
/// Running ──leave──▶ Draining ──own changes sent──▶ Leaving ──farewell sent──▶ Left
///                        └── alone, or too long ──▶    └────── too long ──────▶
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// Local changes are refused; those made before are still being sent.
    Draining {
        deadline: Option<Instant>,
    },
    /// Peers are being told that this node leaves.
    Leaving {
        deadline: Instant,
    },
    Left,
}

impl Phase {
    /// Returns when the phase or the machine wants attention.
    pub(super) fn wakeup(self, machine: Instant) -> Instant {
        match self {
            Self::Draining {
                deadline: Some(deadline),
            }
            | Self::Leaving { deadline } => machine.min(deadline),
            _ => machine,
        }
    }
}

impl Driver {
    pub(super) fn start_leaving(&self) -> Phase {
        self.delegate.leaving();
        tracing::info!("leaving the gossip cluster");
        let timeout = self.shutdown.drain_timeout;
        Phase::Draining {
            deadline: (timeout > Duration::ZERO).then(|| Instant::now() + timeout),
        }
    }

    pub(super) fn advance(&mut self, phase: Phase) -> Phase {
        match phase {
            Phase::Draining { deadline } if self.is_drained() || has_passed(deadline) => {
                self.machine.leave(self.clock.now());
                self.settle();
                self.advance(Phase::Leaving {
                    deadline: Instant::now() + self.shutdown.leave_timeout,
                })
            }
            Phase::Leaving { .. } if self.machine.has_left() => Phase::Left,
            Phase::Leaving { deadline } if has_passed(Some(deadline)) => {
                tracing::warn!("peers were not told in time that this node leaves");
                Phase::Left
            }
            phase => phase,
        }
    }

    fn is_drained(&self) -> bool {
        self.machine.urgent_broadcasts(Origin::Local) == 0 || self.machine.alive_count() <= 1
    }
}

fn has_passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}
