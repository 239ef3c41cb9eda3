//! A client of the public push and query API.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use serde_json::{Value, json};

/// The profile type of what [`Client::push`] sends.
pub const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";

/// Talks to one endpoint.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    /// Creates a client of `http://host:port`.
    ///
    /// # Errors
    ///
    /// Fails when the HTTP client cannot be set up.
    pub fn new(url: impl Into<String>) -> Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(15))
            .build()?;
        Ok(Self {
            http,
            url: url.into(),
        })
    }

    /// Calls an RPC by Connect with JSON.
    ///
    /// # Errors
    ///
    /// Fails when the answer is not a success, with its status and text.
    pub async fn call(&self, method: &str, body: &Value) -> Result<Value> {
        let url = format!("{}/{method}", self.url);
        let answer = self
            .http
            .post(&url)
            .json(body)
            .send()
            .await
            .with_context(|| url.clone())?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("{url}: {status}: {text}");
        }
        serde_json::from_str(&text).with_context(|| format!("{url}: {text}"))
    }

    /// Pushes one profile of a service with one stack of the given value.
    ///
    /// # Errors
    ///
    /// Fails when the push was not acknowledged.
    pub async fn push(&self, service: &str, value: i64, time_nanos: i64) -> Result<()> {
        let raw = base64::engine::general_purpose::STANDARD.encode(pprof(value, time_nanos));
        let labels = json!([
            {"name": "__name__", "value": "process_cpu"},
            {"name": "service_name", "value": service},
        ]);
        let body = json!({"series": [{"labels": labels, "samples": [{"rawProfile": raw}]}]});
        self.call("push.v1.PusherService/Push", &body)
            .await
            .map(|_| ())
    }

    /// Returns the sum of a service's profiles of the last hour.
    ///
    /// # Errors
    ///
    /// Fails when the query does.
    pub async fn total(&self, service: &str) -> Result<i64> {
        let now = unix_nanos() / 1_000_000;
        let body = json!({
            "profileTypeID": CPU,
            "labelSelector": format!("{{service_name=\"{service}\"}}"),
            "start": (now - 3_600_000).to_string(),
            "end": (now + 60_000).to_string(),
        });
        let answer = self
            .call("querier.v1.QuerierService/SelectMergeStacktraces", &body)
            .await?;
        let total = answer["flamegraph"]["total"].as_str().unwrap_or("0");
        total.parse().with_context(|| format!("total {total:?}"))
    }
}

/// Returns the time in Unix nanoseconds.
#[must_use]
pub fn unix_nanos() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)
}

/// Encodes a CPU profile with one stack `main;work`, by hand: the tests know the
/// public format and nothing of the project's own encoder.
#[must_use]
pub fn pprof(value: i64, time_nanos: i64) -> Vec<u8> {
    let value_type = message(&[(1, 1), (2, 2)]);
    let line = |function| message(&[(1, function)]);
    let mut profile = Vec::new();
    bytes(&mut profile, 1, &value_type);
    let mut sample = Vec::new();
    bytes(&mut sample, 1, &[2, 1]);
    let mut packed = Vec::new();
    varint(&mut packed, value as u64);
    bytes(&mut sample, 2, &packed);
    bytes(&mut profile, 2, &sample);
    for id in [1, 2] {
        let mut location = message(&[(1, id)]);
        bytes(&mut location, 4, &line(id));
        bytes(&mut profile, 4, &location);
    }
    for (id, name) in [(1, 3), (2, 4)] {
        bytes(&mut profile, 5, &message(&[(1, id), (2, name)]));
    }
    for text in ["", "cpu", "nanoseconds", "main", "work"] {
        bytes(&mut profile, 6, text.as_bytes());
    }
    profile.extend(message(&[(9, time_nanos as u64)]));
    bytes(&mut profile, 11, &value_type);
    profile.extend(message(&[(12, 1)]));
    profile
}

fn message(fields: &[(u8, u64)]) -> Vec<u8> {
    let mut out = Vec::new();
    for &(number, value) in fields {
        out.push(number << 3);
        varint(&mut out, value);
    }
    out
}

fn bytes(out: &mut Vec<u8>, number: u8, content: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
