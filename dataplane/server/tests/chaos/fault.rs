//! What goes wrong with one ingester at a time.

use std::time::Duration;

use rand::{RngExt as _, rngs::StdRng};

use crate::{cluster::Cluster, link::Weather};

/// What happens to one ingester while the others are well.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It is killed, stays away for a while and comes back.
    Crash { away: Duration },
    /// It hangs and goes on.
    Freeze(Duration),
    /// It hangs for most of each period.
    Slow(Duration),
    /// It stops as it should and comes back.
    Restart,
    /// It is well, but the way to it is not.
    Way(Weather, Duration),
}

impl Fault {
    /// Lists every kind once, each brief; `long` adds freezes beyond each of the
    /// timeouts: of pushes (5 s), of connections (10 s + 5 s), and of heartbeats
    /// (60 s), and ways that are worse than none.
    pub(crate) fn each(long: bool) -> Vec<Self> {
        let brief = Duration::from_millis(1_200);
        let mut faults = vec![
            Self::Freeze(brief),
            Self::Crash { away: brief / 2 },
            Self::Slow(brief),
            Self::Restart,
            Self::Way(Weather::Stalled, brief),
            Self::Way(Weather::Breaking, brief),
        ];
        if long {
            let freezes = [7, 20, 65].map(|seconds| Self::Freeze(Duration::from_secs(seconds)));
            faults.extend(freezes);
            let ways = [Weather::Mute, Weather::Narrow(2_000)];
            faults.extend(ways.map(|way| Self::Way(way, Duration::from_secs(10))));
        }
        faults
    }

    /// Picks a fault. The longest outlast the timeout of heartbeats.
    pub(crate) fn random(random: &mut StdRng) -> Self {
        let span = Duration::from_millis(random.random_range(200..65_000));
        let medium = span.min(Duration::from_secs(20));
        match random.random_range(0..6) {
            0 => Self::Crash { away: medium },
            1 => Self::Freeze(span),
            2 => Self::Slow(medium),
            3 => Self::Restart,
            _ => Self::Way(weather(random), medium),
        }
    }

    /// Lets it happen and waits until the ingester is ready again.
    pub(crate) async fn happen(self, cluster: &mut Cluster, victim: usize) {
        let node = &mut cluster.ingesters[victim];
        match self {
            Self::Crash { away } => {
                node.crash();
                tokio::time::sleep(away).await;
                node.restart();
            }
            Self::Freeze(span) => {
                node.hang();
                tokio::time::sleep(span).await;
                node.resume();
            }
            Self::Slow(span) => {
                let periods = span.as_millis() / 250;
                for _ in 0..=periods {
                    node.hang();
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    node.resume();
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            Self::Restart => {
                assert_eq!(node.terminate(), Some(0), "{}", node.log());
                node.restart();
            }
            Self::Way(weather, span) => {
                cluster.links[victim].set(weather);
                tokio::time::sleep(span).await;
                cluster.links[victim].set(Weather::Fair);
            }
        }
        // All that an orchestrator waits for before it goes on with the next.
        cluster.ingesters[victim].ready().await;
    }
}

fn weather(random: &mut StdRng) -> Weather {
    match random.random_range(0..5) {
        0 => Weather::Late(Duration::from_millis(random.random_range(20..2_000))),
        1 => Weather::Narrow(random.random_range(500..50_000)),
        2 => Weather::Stalled,
        3 => Weather::Mute,
        _ => Weather::Breaking,
    }
}
