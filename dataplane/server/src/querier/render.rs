//! `GET /pyroscope/render`: the flame graph and time line of older clients.

use axum::{
    body::Body,
    extract::Query,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::Response,
};
use proto::{
    querier::v1::{FlameGraph, SelectMergeStacktracesRequest, SelectSeriesRequest},
    types::v1::{Series, TimeSeriesAggregationType},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tonic::Status;

use super::{Querier, now};
use crate::rpc::{Rpc, TenantId, error_response};

/// Seconds between the points of the time line.
const TIMELINE_STEP: f64 = 15.0;

/// Bounds the answer where the length of queries is not limited.
const MAX_TIMELINE_POINTS: usize = 1 << 16;

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default)]
    query: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    until: String,
    #[serde(alias = "max-nodes", rename = "maxNodes")]
    max_nodes: Option<i64>,
    #[serde(rename = "groupBy")]
    group_by: Option<String>,
    aggregation: Option<String>,
    format: Option<String>,
}

/// Answers one request.
pub(super) async fn render(querier: Querier, rpc: Rpc, headers: HeaderMap, uri: Uri) -> Response {
    let answer = async {
        let tenant = rpc.context(&headers)?.tenant;
        let Query(params) = Query::<Params>::try_from_uri(&uri)
            .map_err(|error| Status::invalid_argument(error.body_text()))?;
        querier.render(&tenant, params).await
    };
    match answer.await {
        Ok(body) => {
            let mut response = Response::new(Body::from(body.to_string()));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        Err(status) => error_response(&status),
    }
}

impl Querier {
    async fn render(&self, tenant: &TenantId, params: Params) -> Result<Value, Status> {
        if params
            .format
            .as_deref()
            .is_some_and(|format| format != "json")
        {
            return Err(Status::unimplemented("only format=json is supported"));
        }
        let query = parse_query(&params.query)?;
        let now = now();
        let start = parse_time("from", &params.from, now)?;
        let end = parse_time("until", &params.until, now)?;
        let profile_type_id = query.profile_type.to_string();
        let label_selector = query.selector.to_string();
        let stacktraces = SelectMergeStacktracesRequest {
            profile_type_id: profile_type_id.clone(),
            label_selector: label_selector.clone(),
            start,
            end,
            max_nodes: params.max_nodes,
            ..Default::default()
        };
        let aggregation = match params.aggregation.as_deref() {
            None | Some("" | "sum") => TimeSeriesAggregationType::Sum,
            Some("avg") => TimeSeriesAggregationType::Average,
            Some(other) => {
                return Err(Status::invalid_argument(format!(
                    "aggregation '{other}' is not one of sum, avg"
                )));
            }
        };
        let group_by = params.group_by.filter(|label| !label.is_empty());
        let series = SelectSeriesRequest {
            profile_type_id,
            label_selector,
            start,
            end,
            group_by: group_by.clone().into_iter().collect(),
            step: TIMELINE_STEP,
            aggregation: Some(aggregation.into()),
            ..Default::default()
        };
        let (merged, selected) = tokio::try_join!(
            self.merge_stacktraces(tenant, stacktraces),
            self.select_series(tenant, series)
        )?;
        let graph = merged.flamegraph.unwrap_or_default();
        let timeline = Timeline { start, end };
        Ok(json!({
            "version": 1,
            "flamebearer": flamebearer(&graph),
            "metadata": {
                "format": "single",
                "spyName": "",
                "sampleRate": 1_000_000_000,
                "units": units(&query.profile_type.sample_unit),
                "name": query.profile_type.sample_type,
            },
            "timeline": timeline.sum(&selected.series),
            "groups": group_by.map(|label| timeline.groups(&label, &selected.series)),
            "heatmap": null,
        }))
    }
}

fn parse_query(text: &str) -> Result<profile::selector::Query, Status> {
    if text.is_empty() {
        return Err(Status::invalid_argument("\"query\" is required"));
    }
    if text.trim_start().starts_with('{') {
        return Err(Status::invalid_argument(
            "\"query\" must contain a profile-type selection",
        ));
    }
    text.parse()
        .map_err(|error| Status::invalid_argument(format!("failed to parse \"query\": {error}")))
}

fn parse_time(name: &str, text: &str, now: i64) -> Result<i64, Status> {
    if text.is_empty() {
        return Ok(now);
    }
    profile::time::parse(text, now)
        .map_err(|error| Status::invalid_argument(format!("\"{name}\": {error}")))
}

fn units(unit: &str) -> &str {
    match unit {
        "nanoseconds" | "count" => "samples",
        other => other,
    }
}

fn flamebearer(graph: &FlameGraph) -> Value {
    let levels: Vec<&Vec<i64>> = graph.levels.iter().map(|level| &level.values).collect();
    json!({
        "names": graph.names,
        "levels": levels,
        "numTicks": graph.total,
        "maxSelf": graph.max_self,
    })
}

/// The time range of a render, cut into steps.
struct Timeline {
    start: i64,
    end: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TimelineJson {
    start_time: i64,
    samples: Vec<i64>,
    duration_delta: i64,
    watermarks: Option<()>,
}

impl Timeline {
    fn sum(&self, series: &[Series]) -> TimelineJson {
        let step = (TIMELINE_STEP * 1000.0) as i64;
        let count = self.end.saturating_sub(self.start) / step + 1;
        let count = usize::try_from(count).unwrap_or(0).min(MAX_TIMELINE_POINTS);
        let mut samples = vec![0_i64; count];
        for point in series.iter().flat_map(|series| &series.points) {
            let index =
                usize::try_from(point.timestamp.saturating_sub(self.start) / step).unwrap_or(0);
            if let Some(sample) = samples.get_mut(index.min(count.saturating_sub(1))) {
                *sample = sample.saturating_add(point.value as i64);
            }
        }
        TimelineJson {
            start_time: self.start / 1000,
            samples,
            duration_delta: TIMELINE_STEP as i64,
            watermarks: None,
        }
    }

    fn groups(&self, label: &str, series: &[Series]) -> serde_json::Map<String, Value> {
        series
            .iter()
            .map(|one| {
                let value = one.labels.iter().find(|pair| pair.name == label);
                let name = value.map_or(String::new(), |pair| pair.value.clone());
                (name, json!(self.sum(std::slice::from_ref(one))))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proto::types::v1::Point;

    use super::*;

    #[test]
    fn a_time_line_of_all_times_and_the_greatest_values_is_bounded() {
        let point = |timestamp| Point {
            timestamp,
            value: f64::MAX,
            ..Point::default()
        };
        let series = Series {
            points: vec![point(i64::MIN), point(i64::MAX), point(i64::MAX)],
            ..Series::default()
        };
        let (start, end) = (i64::MIN, i64::MAX);
        let timeline = Timeline { start, end }.sum(&[series]);
        assert_eq!(timeline.samples.len(), MAX_TIMELINE_POINTS);
        assert_eq!(timeline.samples.first(), Some(&i64::MAX));
        assert_eq!(timeline.samples.last(), Some(&i64::MAX));
    }
}
