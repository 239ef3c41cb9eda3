//! The ingester: keeps profiles durably and answers queries about them.

use std::{fmt, sync::Arc, thread};

use axum::Router;
use bytes::Bytes;
use profile::{Labels, Selector};
use proto::{
    ingester::v1::{ProfileTypesRequest, ProfileTypesResponse, SeriesRequest, SeriesResponse},
    push::v1::{PushRequest, PushResponse},
    reader::v1::{MergeRequest, MergeResponse, SelectRequest, SelectResponse},
    types::v1::{
        LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse,
        Labels as ProtoLabels, ProfileType,
    },
};
use ring::Op;
use store::{Database, Digest, DigestKey, IncomingProfile, PushError, PushLimits, TimeRange};
use tokio::sync::Semaphore;
use tonic::Status;
use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

use crate::{
    overrides::Overrides,
    refusals,
    ring_view::{RingView, unix_seconds},
    rpc::{Context, Rpc, TenantId, entries_of_push},
};

/// Serves the profiles of one [`Database`]; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Ingester {
    database: Database,
    ring: RingView,
    overrides: Overrides,
}

impl Ingester {
    /// Creates an ingester over `database`; `ring` tells among how many
    /// ingesters a tenant's series are spread.
    pub(crate) fn new(database: Database, ring: RingView, overrides: Overrides) -> Self {
        Self {
            database,
            ring,
            overrides,
        }
    }

    /// Returns the RPC endpoints of the ingester.
    pub(crate) fn routes(&self, rpc: &Rpc) -> Router {
        let readers = Readers::new();
        macro_rules! read {
            ($serve:ident, $read:expr) => {{
                let (database, readers) = (self.database.clone(), readers.clone());
                rpc.$serve(move |context: Context, request| {
                    let (database, readers) = (database.clone(), readers.clone());
                    let read = move || $read(&database, &context.tenant, request);
                    async move { readers.run(read).await }
                })
            }};
        }
        let ingester = Arc::new(self.clone());
        let push =
            rpc.clone()
                .with_entries(entries_of_push)
                .unary(move |context: Context, request| {
                    let ingester = Arc::clone(&ingester);
                    async move { ingester.push(&context.tenant, request).await }
                });
        Router::new()
            .route("/ingester.v1.IngesterService/Push", push)
            .route(
                "/ingester.v1.IngesterService/ProfileTypes",
                read!(unary, profile_types),
            )
            .route(
                "/ingester.v1.IngesterService/LabelNames",
                read!(unary, label_names),
            )
            .route(
                "/ingester.v1.IngesterService/LabelValues",
                read!(unary, label_values),
            )
            .route("/ingester.v1.IngesterService/Series", read!(unary, series))
            .route("/reader.v1.ReaderService/Select", read!(unary_grpc, select))
            .route("/reader.v1.ReaderService/Merge", read!(unary_grpc, merge))
    }

    /// Returns the key of the digests that it can use.
    pub(crate) fn digest_key(&self) -> Arc<DigestKey> {
        self.database.digest_key()
    }

    /// Stores the profiles of a message.
    ///
    /// # Errors
    ///
    /// As [`Self::store`], with the positions of series.
    pub(crate) async fn push(
        &self,
        tenant: &TenantId,
        request: PushRequest,
    ) -> Result<PushResponse, Status> {
        let digest_key = self.digest_key();
        let (mut profiles, mut positions) = (Vec::new(), Vec::new());
        for (position, series) in request.series.into_iter().enumerate() {
            positions.extend(series.samples.iter().map(|_| position));
            let labels = Labels::from_proto(series.labels)
                .map_err(|error| Status::invalid_argument(error.to_string()))?;
            let text = labels.to_string();
            profiles.extend(series.samples.into_iter().map(|sample| IncomingProfile {
                labels: labels.clone(),
                id: identity(&sample.id, &text, &sample.raw_profile),
                digest: digest(sample.digest, &sample.raw_profile, &digest_key),
                raw: sample.raw_profile,
                view: None,
            }));
        }
        let written = self.write(tenant, profiles).await;
        written.map_err(|error| refusals::answer(&error, |index| positions[index]))?;
        Ok(PushResponse {
            digest_key: digest_key.get(),
        })
    }

    /// Stores profiles as a push does; a distributor of this process calls it
    /// directly.
    ///
    /// # Errors
    ///
    /// `unavailable` for what passes, `resource_exhausted` for the limit of
    /// series, `invalid_argument` for bad profiles; the latter two list what is
    /// [refused](refusals::listed) by its position. What is not refused is stored
    /// in any case.
    pub(crate) async fn store(
        &self,
        tenant: &TenantId,
        profiles: Vec<IncomingProfile>,
    ) -> Result<(), Status> {
        let written = self.write(tenant, profiles).await;
        written.map_err(|error| refusals::answer(&error, |index| index))
    }

    async fn write(
        &self,
        tenant: &TenantId,
        profiles: Vec<IncomingProfile>,
    ) -> Result<(), PushError> {
        let limits = PushLimits {
            max_series: self.max_series(tenant),
        };
        self.database.push(tenant.as_str(), profiles, limits).await
    }

    /// Returns this ingester's share of the tenant's series; zero: any number.
    fn max_series(&self, tenant: &TenantId) -> usize {
        let limits = self.overrides.of(tenant).series;
        let share = if limits.global == 0 {
            0
        } else {
            let ring = self.ring.load();
            let healthy = ring
                .healthy(Op::WriteNoExtend, unix_seconds())
                .count()
                .max(1);
            let replicas = ring.config().replication_factor.min(healthy).max(1);
            limits.global.saturating_mul(replicas).div_ceil(healthy)
        };
        match (limits.local, share) {
            (0, share) => share,
            (local, 0) => local,
            (local, share) => local.min(share),
        }
    }
}

/// Reads the digest that a distributor gave, and learns its key.
fn digest(encoded: Bytes, raw: &[u8], key: &DigestKey) -> Option<Arc<Digest>> {
    if encoded.is_empty() {
        return None;
    }
    let digest = Digest::decode(encoded, raw)?;
    key.agree(digest.key());
    Some(Arc::new(digest))
}

/// Takes the identity that the distributor gave, or derives one from labels and
/// content for writers that give none.
fn identity(id: &str, labels: &str, raw: &[u8]) -> [u8; 16] {
    let derived = || {
        let mut hash = Xxh3::new();
        hash.update(&(labels.len() as u64).to_le_bytes());
        hash.update(labels.as_bytes());
        hash.update(raw);
        hash.digest128().to_be_bytes()
    };
    Uuid::try_parse(id).map_or_else(|_| derived(), Uuid::into_bytes)
}

/// Bounds how many reads compute at a time, so that however many there are they
/// leave a share of the processors to pushes.
#[derive(Debug, Clone)]
struct Readers {
    turns: Arc<Semaphore>,
}

impl Readers {
    /// Allows as many reads as there are processors.
    fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self {
            turns: Arc::new(Semaphore::new(processors)),
        }
    }

    /// Runs a read on a thread where it may use the CPU for long. One whose
    /// caller goes away before its turn is not begun.
    async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let ended =
            |error: &dyn fmt::Display| Status::internal(format!("a read ended early: {error}"));
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn = turn.await.map_err(|error| ended(&error))?;
        let read = move || {
            // Kept until the read ends, whoever still waits for it.
            let _turn = turn;
            read()
        };
        let read = tokio::task::spawn_blocking(read);
        read.await.map_err(|error| ended(&error))?
    }
}

fn selectors(matchers: &[String]) -> Result<Vec<Selector>, Status> {
    let parse = |text: &String| {
        text.parse()
            .map_err(|error| Status::invalid_argument(format!("selector '{text}': {error}")))
    };
    matchers.iter().map(parse).collect()
}

fn profile_types(
    database: &Database,
    tenant: &TenantId,
    request: ProfileTypesRequest,
) -> Result<ProfileTypesResponse, Status> {
    let range = TimeRange::of_request(request.start, request.end);
    let types = database.profile_types(tenant.as_str(), range);
    Ok(ProfileTypesResponse {
        profile_types: types.iter().map(ProfileType::from).collect(),
    })
}

fn label_names(
    database: &Database,
    tenant: &TenantId,
    request: LabelNamesRequest,
) -> Result<LabelNamesResponse, Status> {
    let range = TimeRange::of_request(request.start, request.end);
    let matchers = selectors(&request.matchers)?;
    Ok(LabelNamesResponse {
        names: database.label_names(tenant.as_str(), &matchers, range),
    })
}

fn label_values(
    database: &Database,
    tenant: &TenantId,
    request: LabelValuesRequest,
) -> Result<LabelValuesResponse, Status> {
    if request.name.is_empty() {
        return Err(Status::invalid_argument("name is required"));
    }
    let range = TimeRange::of_request(request.start, request.end);
    let matchers = selectors(&request.matchers)?;
    let names = database.label_values(tenant.as_str(), &request.name, &matchers, range);
    Ok(LabelValuesResponse { names })
}

fn series(
    database: &Database,
    tenant: &TenantId,
    request: SeriesRequest,
) -> Result<SeriesResponse, Status> {
    let range = TimeRange::of_request(request.start, request.end);
    let series = database.series(tenant.as_str(), &selectors(&request.matchers)?, range);
    let mut sets: Vec<Labels> = if request.label_names.is_empty() {
        series
    } else {
        series
            .iter()
            .map(|labels| labels.only(&request.label_names))
            .collect()
    };
    sets.sort();
    sets.dedup();
    let labels_set = sets
        .iter()
        .filter(|labels| !labels.is_empty())
        .map(|labels| ProtoLabels {
            labels: in_order(labels, &request.label_names),
        })
        .collect();
    Ok(SeriesResponse { labels_set })
}

/// Returns the labels in the order in which they were asked for.
fn in_order(labels: &Labels, names: &[String]) -> Vec<proto::types::v1::LabelPair> {
    if names.is_empty() {
        return labels.to_proto();
    }
    let pair = |name: &String| {
        let value = labels.get(name)?.to_owned();
        Some(proto::types::v1::LabelPair {
            name: name.clone(),
            value,
        })
    };
    names.iter().filter_map(pair).collect()
}

fn select(
    database: &Database,
    tenant: &TenantId,
    request: SelectRequest,
) -> Result<SelectResponse, Status> {
    database
        .select(tenant.as_str(), &request)
        .map_err(|error| Status::invalid_argument(error.to_string()))
}

fn merge(
    database: &Database,
    tenant: &TenantId,
    request: MergeRequest,
) -> Result<MergeResponse, Status> {
    database
        .merge(tenant.as_str(), &request)
        .map_err(|error| Status::invalid_argument(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_profile_of_two_series_is_two_profiles() {
        assert_ne!(
            identity("", "{a=\"1\"}", b"p"),
            identity("", "{a=\"2\"}", b"p")
        );
        assert_eq!(
            identity("", "{a=\"1\"}", b"p"),
            identity("", "{a=\"1\"}", b"p")
        );
        let given = Uuid::from_u128(7);
        assert_eq!(identity(&given.to_string(), "{}", b"p"), given.into_bytes());
    }
}
