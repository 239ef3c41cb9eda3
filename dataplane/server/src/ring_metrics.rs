//! Metrics of rings and of this process's entries in them, computed when they
//! are read. Names and labels are those of Grafana dskit behind the prefix
//! that Pyroscope gives them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{
        MetricType,
        counter::ConstCounter,
        family::Family,
        gauge::ConstGauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use ring::Ring;

use crate::ring_view::{RingView, unix_seconds};

/// States that have a value even when nobody is in them, so that alerts can
/// count on it.
const STATES: [&str; 5] = ["UNHEALTHY", "ACTIVE", "LEAVING", "PENDING", "JOINING"];

/// Most zones with metrics of their own.
const MAX_ZONES: usize = 32;

/// What kind of lifecycler keeps an entry; their metrics differ in name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberKind {
    /// Of an instance that holds data.
    Full,
    /// Of an instance that only counts.
    Basic,
}

/// One entry of this process in a ring.
#[derive(Debug)]
pub(crate) struct Member {
    ring: &'static str,
    kind: MemberKind,
    heartbeats: AtomicU64,
    forgotten: AtomicU64,
    held_back: AtomicUsize,
    tokens: AtomicUsize,
    tokens_to_own: AtomicUsize,
    read_only: AtomicBool,
}

impl Member {
    pub(crate) fn new(ring: &'static str, kind: MemberKind) -> Self {
        Self {
            ring,
            kind,
            heartbeats: AtomicU64::default(),
            forgotten: AtomicU64::default(),
            held_back: AtomicUsize::default(),
            tokens: AtomicUsize::default(),
            tokens_to_own: AtomicUsize::default(),
            read_only: AtomicBool::default(),
        }
    }

    pub(crate) fn count_heartbeat(&self) {
        self.heartbeats.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_forgotten(&self, members: usize) {
        self.forgotten.fetch_add(members as u64, Relaxed);
    }

    pub(crate) fn held_back(&self) -> usize {
        self.held_back.load(Relaxed)
    }

    pub(crate) fn set_held_back(&self, members: usize) {
        self.held_back.store(members, Relaxed);
    }

    pub(crate) fn set(&self, tokens: usize, tokens_to_own: usize, read_only: bool) {
        self.tokens.store(tokens, Relaxed);
        self.tokens_to_own.store(tokens_to_own, Relaxed);
        self.read_only.store(read_only, Relaxed);
    }
}

/// How long the phases of stopping take.
#[derive(Debug, Clone)]
pub(crate) struct ShutdownDuration {
    duration: Family<ShutdownLabels, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShutdownLabels {
    name: &'static str,
    op: &'static str,
    status: &'static str,
}

const FLUSH: ShutdownLabels = ShutdownLabels {
    name: "ingester",
    op: "flush",
    status: "success",
};

impl ShutdownDuration {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let buckets: fn() -> Histogram = || Histogram::new(exponential_buckets(10.0, 2.0, 8));
        let duration = Family::new_with_constructor(buckets);
        registry.register(
            "pyroscope_shutdown_duration_seconds",
            "Duration (in seconds) of the phases of stopping",
            duration.clone(),
        );
        // Without a series it would not be known before the process stops.
        drop(duration.get_or_create(&FLUSH));
        Self { duration }
    }

    /// Observes how long open requests and writes took to end; to be read
    /// during the final sleep.
    pub(crate) fn observe_flush(&self, duration: Duration) {
        self.duration
            .get_or_create(&FLUSH)
            .observe(duration.as_secs_f64());
    }
}

/// The rings that this process watches and its own entries in rings.
#[derive(Debug)]
pub(crate) struct RingMetrics {
    rings: Vec<RingView>,
    members: Vec<Arc<Member>>,
}

impl RingMetrics {
    /// Creates the metrics of these rings and entries.
    pub(crate) fn new(rings: Vec<RingView>, members: Vec<Arc<Member>>) -> Self {
        Self { rings, members }
    }
}

impl Collector for RingMetrics {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let mut families = Families { encoder };
        let now = unix_seconds();
        let rings: Vec<(&str, Arc<Ring>)> = self
            .rings
            .iter()
            .map(|view| (view.name(), view.load()))
            .collect();
        families.states(&rings, now)?;
        families.zones(&rings, now)?;
        families.tokens(&rings)?;
        families.members(&self.members)
    }
}

/// The values of one family, each behind its labels.
type Samples<L> = Vec<(L, f64)>;

struct Families<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Families<'_> {
    fn states(&mut self, rings: &[(&str, Arc<Ring>)], now: i64) -> fmt::Result {
        let mut members = Samples::new();
        let mut oldest = Samples::new();
        for (name, ring) in rings {
            let mut states: BTreeMap<String, (usize, i64)> =
                STATES.map(|state| (state.to_owned(), (0, 0))).into();
            for instance in ring.instances() {
                let state = states.entry(ring.shown_state(instance, now)).or_default();
                if state.0 == 0 || instance.timestamp < state.1 {
                    state.1 = instance.timestamp;
                }
                state.0 += 1;
            }
            for (state, (count, timestamp)) in states {
                let labels = [("name", (*name).to_owned()), ("state", state)];
                members.push((labels.clone(), count as f64));
                oldest.push((labels, timestamp as f64));
            }
        }
        self.gauge(
            "pyroscope_ring_members",
            "Number of members in the ring",
            &members,
        )?;
        self.gauge(
            "pyroscope_ring_oldest_member_timestamp",
            "Unix seconds of the oldest heartbeat among the ring's members",
            &oldest,
        )
    }

    fn zones(&mut self, rings: &[(&str, Arc<Ring>)], now: i64) -> fmt::Result {
        let mut samples = Samples::new();
        for (name, ring) in rings
            .iter()
            .filter(|(_, ring)| ring.config().zone_awareness)
        {
            let mut zones: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
            for instance in ring.instances() {
                if zones.len() == MAX_ZONES && !zones.contains_key(instance.zone.as_str()) {
                    continue;
                }
                let states = zones
                    .entry(&instance.zone)
                    .or_insert_with(|| STATES.map(|state| (state.to_owned(), 0)).into());
                *states.entry(ring.shown_state(instance, now)).or_default() += 1;
            }
            for (zone, states) in zones {
                for (state, count) in states {
                    let labels = [
                        ("name", (*name).to_owned()),
                        ("zone", zone.to_owned()),
                        ("state", state),
                    ];
                    samples.push((labels, count as f64));
                }
            }
        }
        self.gauge(
            "pyroscope_ring_zone_members",
            "Number of members in the ring by zone, when zone awareness is on",
            &samples,
        )
    }

    fn tokens(&mut self, rings: &[(&str, Arc<Ring>)]) -> fmt::Result {
        let mut total = Samples::new();
        let mut owned = Samples::new();
        let mut share = Samples::new();
        for (name, ring) in rings {
            total.push(([("name", (*name).to_owned())], ring.token_count() as f64));
            for (instance, ownership) in ring.instances().iter().zip(ring.ownership()) {
                let labels = [
                    ("member", instance.id.clone()),
                    ("name", (*name).to_owned()),
                ];
                owned.push((labels.clone(), instance.tokens.len() as f64));
                share.push((labels, ownership));
            }
        }
        self.gauge(
            "pyroscope_ring_tokens_total",
            "Number of tokens in the ring",
            &total,
        )?;
        self.gauge(
            "pyroscope_ring_tokens_owned",
            "Number of tokens that a member owns",
            &owned,
        )?;
        self.gauge(
            "pyroscope_ring_member_ownership_percent",
            "Share of the keys that a member owns, 0 to 1",
            &share,
        )
    }

    fn members(&mut self, members: &[Arc<Member>]) -> fmt::Result {
        let value = |kind: Option<MemberKind>, value: fn(&Member) -> f64| {
            members
                .iter()
                .filter(|member| kind.is_none_or(|kind| member.kind == kind))
                .map(|member| ([("name", member.ring.to_owned())], value(member)))
                .collect::<Samples<_>>()
        };
        let heartbeats = |member: &Member| member.heartbeats.load(Relaxed) as f64;
        self.counter(
            "pyroscope_member_consul_heartbeats",
            "Heartbeats of this process's entry in a ring of instances that hold data",
            &value(Some(MemberKind::Full), heartbeats),
        )?;
        self.counter(
            "pyroscope_ring_member_heartbeats",
            "Heartbeats of this process's entry in a ring of instances that hold no data",
            &value(Some(MemberKind::Basic), heartbeats),
        )?;
        self.gauge(
            "pyroscope_ring_member_tokens_owned",
            "Tokens that this process owns in a ring",
            &value(None, |member| member.tokens.load(Relaxed) as f64),
        )?;
        self.gauge(
            "pyroscope_ring_member_tokens_to_own",
            "Tokens that this process is to own in a ring",
            &value(None, |member| member.tokens_to_own.load(Relaxed) as f64),
        )?;
        self.gauge(
            "pyroscope_lifecycler_read_only",
            "1 when this process's entry in a ring is read-only",
            &value(None, |member| {
                f64::from(u8::from(member.read_only.load(Relaxed)))
            }),
        )?;
        self.counter(
            "pyroscope_ring_auto_forgotten_members",
            "Members that this process took out of a ring because they were dead for long",
            &value(None, |member| member.forgotten.load(Relaxed) as f64),
        )?;
        self.gauge(
            "pyroscope_ring_auto_forget_held_back_members",
            "Members dead for long that are not forgotten because too many are unhealthy",
            &value(None, |member| member.held_back.load(Relaxed) as f64),
        )
    }

    fn gauge<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        samples: &Samples<L>,
    ) -> fmt::Result {
        let mut family =
            self.encoder
                .encode_descriptor(name, &sentence(help), None, MetricType::Gauge)?;
        for (labels, value) in samples {
            ConstGauge::new(*value).encode(family.encode_family(labels)?)?;
        }
        Ok(())
    }

    /// Encodes counters; the format adds `_total` to the name.
    fn counter<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        samples: &Samples<L>,
    ) -> fmt::Result {
        let mut family =
            self.encoder
                .encode_descriptor(name, &sentence(help), None, MetricType::Counter)?;
        for (labels, value) in samples {
            ConstCounter::new(*value).encode(family.encode_family(labels)?)?;
        }
        Ok(())
    }
}

/// Ends a help text as the registry ends those that it writes itself.
fn sentence(help: &str) -> String {
    format!("{help}.")
}
