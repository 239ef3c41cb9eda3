//! `/ring` and `/distributor/ring`: the instances of a ring, and a way to
//! forget a dead one.

use ::ring::{Ring, RingConfig};
use axum::{
    Form, Json,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use contract::report::{RingReport, Shard};
use gossip::{CasError, Kv};
use serde::Deserialize;
use tracing::info;

use super::{html, same_origin, text, time};
use crate::ring_view::{RingView, unix_seconds};

/// The form that the page posts.
#[derive(Debug, Deserialize)]
pub(super) struct Forget {
    forget: String,
}

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Query {
    /// "true" shows every token.
    #[serde(default)]
    tokens: String,
}

/// Shows the ring, instances of excluded zones included.
pub(super) fn page(ring: &RingView, kv: &Kv, query: &Query, json: bool) -> Response {
    let now = unix_seconds();
    let everybody = RingConfig {
        excluded_zones: Vec::new(),
        ..ring.load().config().clone()
    };
    let desc = kv.get(ring.key()).unwrap_or_default();
    let status = Ring::new(&desc, everybody).status(now);
    if json {
        let shards = status.members.into_iter().map(shard).collect();
        let now = time::rfc3339(now);
        return Json(RingReport { shards, now }).into_response();
    }
    let head = [
        "Instance ID",
        "Availability Zone",
        "State",
        "Address",
        "Registered At",
        "Read-Only",
        "Read-Only Updated",
        "Last Heartbeat",
        "Tokens",
        "Ownership",
        "Versions",
        "Actions",
    ];
    let rows = status.members.iter().map(|member| row(member, now));
    let table = html::table(&head, rows);
    let (toggle, tokens) = if query.tokens == "true" {
        let tokens: String = status.members.iter().map(tokens).collect();
        ("<a href=\"?tokens=false\">Hide tokens</a>", tokens)
    } else {
        ("<a href=\"?tokens=true\">Show tokens</a>", String::new())
    };
    let body = format!(
        "<p>Current time: {}. An instance that is alive comes back by itself after it was forgotten.</p>\
         <form action=\"\" method=\"post\">{table}</form><p>{toggle}</p>{tokens}",
        time::rfc3339(now)
    );
    html::page("Ring Status", &body)
}

/// Takes an instance out of the ring that will not come back by itself.
pub(super) fn forget(
    ring: &RingView,
    kv: &Kv,
    headers: &HeaderMap,
    Form(Forget { forget: id }): Form<Forget>,
) -> Response {
    if !same_origin::is_ours(headers) {
        return text(
            StatusCode::FORBIDDEN,
            "a page of another site may not forget instances\n",
        );
    }
    let known = kv.get_with_tombstones(ring.key()).unwrap_or_default();
    let tombstones = ::ring::desc::tombstones(&known, [&id], unix_seconds());
    if tombstones.ingesters.is_empty() {
        let reason = format!("error forgetting instance {id:?}: it is not in the ring\n");
        return text(StatusCode::NOT_FOUND, &reason);
    }
    drop(known);
    match kv.merge(ring.key(), tombstones) {
        Ok(_) => {
            info!(
                ring = ring.name(),
                instance = id,
                "instance forgotten on request"
            );
            // Relative, so that it works behind a proxy and keeps the query.
            (StatusCode::FOUND, [(header::LOCATION, "#")]).into_response()
        }
        Err(CasError::NoChange { .. }) => {
            let reason = format!("error forgetting instance {id:?}: it has just changed\n");
            text(StatusCode::CONFLICT, &reason)
        }
        Err(error) => text(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("error forgetting instance {id:?}: {error}; try again\n"),
        ),
    }
}

fn row(member: &::ring::Member, now: i64) -> Vec<String> {
    let id = html::escape(&member.id);
    let versions = member
        .versions
        .iter()
        .map(|(component, version)| format!("{component}: v{version}"));
    vec![
        id.clone(),
        html::escape(&member.zone),
        html::escape(&member.state),
        html::escape(&member.address),
        time::if_known(member.registered_timestamp),
        member.read_only.to_string(),
        time::if_known(member.read_only_updated_timestamp),
        format!(
            "{} ago ({})",
            time::seconds(now.saturating_sub(member.timestamp)),
            time::of_day(member.timestamp)
        ),
        member.tokens.len().to_string(),
        format!("{:.2}%", member.ownership * 100.0),
        versions.collect::<Vec<_>>().join("<br>"),
        format!("<button name=\"forget\" value=\"{id}\">Forget</button>"),
    ]
}

fn tokens(member: &::ring::Member) -> String {
    let tokens: Vec<String> = member.tokens.iter().map(u32::to_string).collect();
    format!(
        "<h2>Instance: {}</h2><p>{}</p>",
        html::escape(&member.id),
        tokens.join(" ")
    )
}

fn shard(member: ::ring::Member) -> Shard {
    Shard {
        id: member.id,
        state: member.state,
        address: member.address,
        timestamp: time::rfc3339(member.timestamp),
        registered_timestamp: time::or_year_one(member.registered_timestamp),
        read_only: member.read_only,
        read_only_updated_timestamp: time::or_year_one(member.read_only_updated_timestamp),
        zone: member.zone,
        tokens: member.tokens,
        versions: member.versions,
    }
}
