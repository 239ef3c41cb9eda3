//! The querier: answers questions about profiles from all their holders.

mod assign;
mod growth;
mod limits;
mod merge;
mod read;
mod render;
#[cfg(test)]
mod replicas;
mod series;

use std::collections::{BTreeMap, BTreeSet};

use axum::{Router, routing::get};
use profile::{PprofMerge, ProfileType, Selector, Tree, tree};
use prost::Message as _;
use proto::{
    google::v1::Profile,
    ingester::v1 as ingester,
    querier::v1::{
        ProfileFormat, ProfileTypesRequest, ProfileTypesResponse, SelectMergeProfileRequest,
        SelectMergeStacktracesRequest, SelectMergeStacktracesResponse, SelectSeriesRequest,
        SelectSeriesResponse, SeriesRequest, SeriesResponse,
    },
    reader::v1::{MergeFormat, SelectRequest},
    types::v1::{
        LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse,
        StackTraceSelector, TimeSeriesAggregationType,
    },
};
use tokio::task::block_in_place;
use tonic::Status;

pub(crate) use limits::Limits;
pub(crate) use read::Readers;

use crate::{
    overrides::Overrides,
    ring_view::unix_nanos,
    rpc::{Context, Rpc, TenantId},
};
use limits::Range;
use series::SeriesBuilder;

/// Answers queries by asking every holder; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Querier {
    readers: Readers,
    overrides: Overrides,
}

impl Querier {
    /// Creates a querier that reads through `readers`.
    pub(crate) fn new(readers: Readers, overrides: Overrides) -> Self {
        Self { readers, overrides }
    }

    /// Returns the HTTP and RPC endpoints of the querier.
    pub(crate) fn routes(&self, rpc: &Rpc) -> Router {
        macro_rules! method {
            ($handler:ident) => {{
                let querier = self.clone();
                rpc.unary(move |context: Context, request| {
                    let querier = querier.clone();
                    async move { querier.$handler(&context.tenant, request).await }
                })
            }};
        }
        let render = {
            let (querier, rpc) = (self.clone(), rpc.clone());
            get(move |headers, uri| render::render(querier.clone(), rpc.clone(), headers, uri))
        };
        Router::new()
            .route(
                "/querier.v1.QuerierService/ProfileTypes",
                method!(profile_types),
            )
            .route(
                "/querier.v1.QuerierService/LabelNames",
                method!(label_names),
            )
            .route(
                "/querier.v1.QuerierService/LabelValues",
                method!(label_values),
            )
            .route("/querier.v1.QuerierService/Series", method!(series))
            .route(
                "/querier.v1.QuerierService/SelectMergeStacktraces",
                method!(merge_stacktraces),
            )
            .route(
                "/querier.v1.QuerierService/SelectMergeProfile",
                method!(merge_profile),
            )
            .route(
                "/querier.v1.QuerierService/SelectSeries",
                method!(select_series),
            )
            .route("/pyroscope/render", render)
    }

    async fn profile_types(
        &self,
        tenant: &TenantId,
        request: ProfileTypesRequest,
    ) -> Result<ProfileTypesResponse, Status> {
        let Range { start, end } = self.label_range(tenant, request.start, request.end)?;
        let message = ingester::ProfileTypesRequest { start, end };
        let ask = self
            .readers
            .ask(tenant, message, |mut client, request| async move {
                client.profile_types(request).await
            });
        let types: BTreeMap<_, _> = ask
            .await?
            .into_iter()
            .flat_map(|answer| answer.profile_types)
            .map(|one| (one.id.clone(), one))
            .collect();
        Ok(ProfileTypesResponse {
            profile_types: types.into_values().collect(),
        })
    }

    async fn label_names(
        &self,
        tenant: &TenantId,
        request: LabelNamesRequest,
    ) -> Result<LabelNamesResponse, Status> {
        check_matchers(&request.matchers)?;
        let Range { start, end } = self.label_range(tenant, request.start, request.end)?;
        let message = LabelNamesRequest {
            start,
            end,
            ..request
        };
        let ask = self
            .readers
            .ask(tenant, message, |mut client, request| async move {
                client.label_names(request).await
            });
        let names: BTreeSet<_> = ask
            .await?
            .into_iter()
            .flat_map(|answer| answer.names)
            .filter(|name| is_listed(name))
            .collect();
        Ok(LabelNamesResponse {
            names: names.into_iter().collect(),
        })
    }

    async fn label_values(
        &self,
        tenant: &TenantId,
        request: LabelValuesRequest,
    ) -> Result<LabelValuesResponse, Status> {
        if request.name.is_empty() {
            return Err(Status::invalid_argument("name is required"));
        }
        check_matchers(&request.matchers)?;
        let Range { start, end } = self.label_range(tenant, request.start, request.end)?;
        let message = LabelValuesRequest {
            start,
            end,
            ..request
        };
        let ask = self
            .readers
            .ask(tenant, message, |mut client, request| async move {
                client.label_values(request).await
            });
        let names: BTreeSet<_> = ask
            .await?
            .into_iter()
            .flat_map(|answer| answer.names)
            .collect();
        Ok(LabelValuesResponse {
            names: names.into_iter().collect(),
        })
    }

    async fn series(
        &self,
        tenant: &TenantId,
        request: SeriesRequest,
    ) -> Result<SeriesResponse, Status> {
        check_matchers(&request.matchers)?;
        let Range { start, end } = self.label_range(tenant, request.start, request.end)?;
        let SeriesRequest {
            matchers,
            label_names,
            ..
        } = request;
        let message = ingester::SeriesRequest {
            matchers,
            label_names,
            start,
            end,
        };
        let ask = self
            .readers
            .ask(tenant, message, |mut client, request| async move {
                client.series(request).await
            });
        let mut sets: Vec<_> = ask
            .await?
            .into_iter()
            .flat_map(|answer| answer.labels_set)
            .map(|mut set| {
                set.labels.retain(|pair| is_listed(&pair.name));
                set
            })
            .filter(|set| !set.labels.is_empty())
            .collect();
        sets.sort_by_cached_key(|set| {
            let pairs = set
                .labels
                .iter()
                .map(|pair| (pair.name.clone(), pair.value.clone()));
            pairs.collect::<Vec<_>>()
        });
        sets.dedup();
        Ok(SeriesResponse { labels_set: sets })
    }

    async fn merge_stacktraces(
        &self,
        tenant: &TenantId,
        request: SelectMergeStacktracesRequest,
    ) -> Result<SelectMergeStacktracesResponse, Status> {
        if !request.profile_id_selector.is_empty() {
            return Err(Status::unimplemented(
                "profile_id_selector is not supported",
            ));
        }
        let nodes = self.overrides.of(tenant).query.nodes(request.max_nodes)?;
        let format = ProfileFormat::try_from(request.format)
            .map_err(|_| Status::invalid_argument(format!("unknown format {}", request.format)))?;
        let select = self.select(
            tenant,
            &request.profile_type_id,
            &request.label_selector,
            (request.start, request.end),
            request.stack_trace_selector.as_ref(),
        )?;
        let tree = self.tree(tenant, select).await?;
        match format {
            ProfileFormat::Unspecified | ProfileFormat::Flamegraph => {
                Ok(SelectMergeStacktracesResponse {
                    flamegraph: Some(block_in_place(|| tree.to_flamegraph(nodes))),
                    ..Default::default()
                })
            }
            ProfileFormat::Tree => {
                let mut tree = tree;
                tree.truncate(nodes);
                Ok(SelectMergeStacktracesResponse {
                    tree: tree.encode().into(),
                    ..Default::default()
                })
            }
            ProfileFormat::Dot | ProfileFormat::Pprof => Err(Status::unimplemented(
                "this format is not supported; use SelectMergeProfile for pprof",
            )),
        }
    }

    /// Merges the stack traces of all matching profiles into one tree.
    async fn tree(&self, tenant: &TenantId, select: Option<SelectRequest>) -> Result<Tree, Status> {
        let mut merged = Tree::default();
        let Some(select) = select else {
            return Ok(merged);
        };
        let collect = |data: &[u8]| {
            let part = Tree::decode(data, tree::MAX_NODES)
                .map_err(|error| Status::internal(format!("a holder sent a bad tree: {error}")))?;
            merged.merge(&part);
            Ok(())
        };
        self.readers
            .merge(tenant, &select, MergeFormat::Tree, collect)
            .await?;
        Ok(merged)
    }

    async fn merge_profile(
        &self,
        tenant: &TenantId,
        request: SelectMergeProfileRequest,
    ) -> Result<Profile, Status> {
        if !request.profile_id_selector.is_empty() {
            return Err(Status::unimplemented(
                "profile_id_selector is not supported",
            ));
        }
        let profile_type = parse_profile_type(&request.profile_type_id)?;
        let select = self.select(
            tenant,
            &request.profile_type_id,
            &request.label_selector,
            (request.start, request.end),
            request.stack_trace_selector.as_ref(),
        )?;
        let mut merge = PprofMerge::new(&profile_type);
        if let Some(select) = select {
            let collect = |data: &[u8]| {
                let part = Profile::decode(data).map_err(|error| {
                    Status::internal(format!("a holder sent a bad profile: {error}"))
                })?;
                merge.add(&part, 0, &profile::CallSite::default());
                Ok(())
            };
            self.readers
                .merge(tenant, &select, MergeFormat::Pprof, collect)
                .await?;
        }
        let mut merged = block_in_place(|| merge.finish());
        merged.time_nanos = request.end.saturating_mul(1_000_000);
        merged.duration_nanos = request
            .end
            .saturating_sub(request.start)
            .saturating_mul(1_000_000);
        if profile_type.sample_type == "cpu" {
            merged.period = 1_000_000_000;
        }
        Ok(merged)
    }

    async fn select_series(
        &self,
        tenant: &TenantId,
        request: SelectSeriesRequest,
    ) -> Result<SelectSeriesResponse, Status> {
        let step = request.step * 1000.0;
        if !(1.0..=i64::MAX as f64).contains(&step) {
            return Err(Status::invalid_argument("step must be >= 1ms"));
        }
        let aggregation = request
            .aggregation
            .map_or(
                Ok(TimeSeriesAggregationType::Sum),
                TimeSeriesAggregationType::try_from,
            )
            .map_err(|error| Status::invalid_argument(format!("aggregation: {error}")))?;
        let select = self.select(
            tenant,
            &request.profile_type_id,
            &request.label_selector,
            (request.start, request.end),
            request.stack_trace_selector.as_ref(),
        )?;
        let Some(select) = select else {
            return Ok(SelectSeriesResponse::default());
        };
        let select = SelectRequest {
            group_by: request.group_by,
            ..select
        };
        let limit = request.limit.and_then(|limit| usize::try_from(limit).ok());
        let mut builder = SeriesBuilder::new(select.start, step as i64);
        self.readers.totals(tenant, &select, &mut builder).await?;
        let series = block_in_place(|| builder.finish(aggregation, limit));
        Ok(SelectSeriesResponse { series })
    }

    fn label_range(&self, tenant: &TenantId, start: i64, end: i64) -> Result<Range, Status> {
        let limits = &self.overrides.of(tenant).query;
        limits.label_range(start, end, now())
    }

    /// Checks a query and turns it into what holders are asked; `None` when it
    /// lies wholly before the lookback.
    fn select(
        &self,
        tenant: &TenantId,
        profile_type: &str,
        label_selector: &str,
        (start, end): (i64, i64),
        call_site: Option<&StackTraceSelector>,
    ) -> Result<Option<SelectRequest>, Status> {
        parse_profile_type(profile_type)?;
        check_matchers([label_selector])?;
        let range = self.overrides.of(tenant).query.range(start, end, now())?;
        let call_site = call_site.map(|selector| {
            selector
                .call_site
                .iter()
                .map(|location| location.name.clone())
                .collect()
        });
        Ok((!range.is_empty()).then(|| SelectRequest {
            profile_type: profile_type.to_owned(),
            label_selector: label_selector.to_owned(),
            start: range.start,
            end: range.end,
            group_by: Vec::new(),
            call_site: call_site.unwrap_or_default(),
        }))
    }
}

fn parse_profile_type(text: &str) -> Result<ProfileType, Status> {
    text.parse()
        .map_err(|error: profile::ProfileTypeError| Status::invalid_argument(error.to_string()))
}

fn check_matchers<'a, T: AsRef<str> + ?Sized + 'a>(
    matchers: impl IntoIterator<Item = &'a T>,
) -> Result<(), Status> {
    for matcher in matchers {
        let text = matcher.as_ref();
        text.parse::<Selector>()
            .map_err(|error| Status::invalid_argument(format!("selector '{text}': {error}")))?;
    }
    Ok(())
}

/// Tells whether lists of labels and series show a label of this name. As in
/// Grafana Pyroscope, names that PromQL has to quote can be selected but are not
/// listed: clients that do not know of them would build broken queries. A series
/// is listed without them: every current agent sends some (`otel.scope.name`).
fn is_listed(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

/// Returns the time in Unix milliseconds.
fn now() -> i64 {
    unix_nanos() / 1_000_000
}
