//! What can be seen of replication.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{
        MetricType,
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::Registry,
};
use ring::peers::{Answer, Standing};

use super::outbox::Outbox;
use crate::ring_view::RingView;

/// Most ingesters with metrics of their own.
const MAX_INGESTERS: usize = 500;

/// Counts the calls that writes make.
#[derive(Debug, Clone)]
pub(super) struct ReplicationMetrics {
    pushes: Family<Outcome, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

impl ReplicationMetrics {
    /// Registers them, and those that are read from the `outbox`.
    pub(super) fn register(registry: &mut Registry, ring: &RingView, outbox: Arc<Outbox>) -> Self {
        let pushes = Family::<Outcome, Counter>::default();
        registry.register(
            "pyroscope_distributor_ingester_pushes",
            "Attempts to write a push to one of its ingesters, by how they ended: took, refused or failed",
            pushes.clone(),
        );
        for answer in [Answer::Took, Answer::Refused, Answer::Failed] {
            drop(pushes.get_or_create(&outcome(answer)));
        }
        let replicas = Gauge::<f64, AtomicU64>::default();
        replicas.set(ring.load().config().replication_factor as f64);
        registry.register(
            "pyroscope_distributor_replication_factor",
            "The configured replication factor",
            replicas,
        );
        registry.register_collector(Box::new(OutboxMetrics(outbox)));
        Self { pushes }
    }

    pub(super) fn count_push(&self, answer: Answer) {
        self.pushes.get_or_create(&outcome(answer)).inc();
    }
}

fn outcome(answer: Answer) -> Outcome {
    let outcome = match answer {
        Answer::Took => "took",
        Answer::Refused => "refused",
        Answer::Failed => "failed",
    };
    Outcome { outcome }
}

/// Reads the outbox when metrics are read.
#[derive(Debug)]
struct OutboxMetrics(Arc<Outbox>);

/// Name, help, and how the value of an ingester is read.
type OfIngester = (&'static str, &'static str, fn(&Standing<'_>) -> f64);

const OF_INGESTERS: [OfIngester; 4] = [
    (
        "pyroscope_distributor_ingester_up",
        "1 when an ingester takes what it is sent, as far as this distributor knows",
        |ingester| f64::from(u8::from(ingester.is_up)),
    ),
    (
        "pyroscope_distributor_ingester_inflight_bytes",
        "Bytes on their way to an ingester",
        |ingester| ingester.in_flight_bytes as f64,
    ),
    (
        "pyroscope_distributor_handoff_queue_bytes",
        "Bytes that an ingester missed and that wait for it",
        |ingester| ingester.queued_bytes as f64,
    ),
    (
        "pyroscope_distributor_handoff_queue_profiles",
        "Profiles that an ingester missed and that wait for it",
        |ingester| ingester.queued_profiles as f64,
    ),
];

impl Collector for OutboxMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts = self.0.counts();
        let mut family = encoder.encode_descriptor(
            "pyroscope_distributor_handoff_profiles",
            "Copies of profiles that an ingester missed, by what became of them: queued is all of them; delivered, refused by the ingester, or dropped because there was no room, they were too old, or the process stopped.",
            None,
            MetricType::Counter,
        )?;
        for (outcome, value) in [
            ("queued", counts.handed_off),
            ("delivered", counts.delivered),
            ("refused", counts.refused),
            ("dropped_full", counts.full),
            ("dropped_old", counts.expired),
            ("dropped_stopped", counts.stopped),
        ] {
            ConstCounter::new(value).encode(family.encode_family(&[("outcome", outcome)])?)?;
        }
        for (name, help, value) in OF_INGESTERS {
            let values = self.values(value);
            let help = format!("{help}.");
            let mut family = encoder.encode_descriptor(name, &help, None, MetricType::Gauge)?;
            for (id, value) in values {
                ConstGauge::new(value).encode(family.encode_family(&[("ingester", id)])?)?;
            }
        }
        Ok(())
    }
}

impl OutboxMetrics {
    fn values(&self, value: fn(&Standing<'_>) -> f64) -> Vec<(String, f64)> {
        self.0.read(|peers, _| {
            let standings = peers.standings().take(MAX_INGESTERS);
            standings
                .map(|one| (one.id.to_owned(), value(&one)))
                .collect()
        })
    }
}
