//! `/ring`: the instances of the ring, and a way to forget a dead one.

use axum::{
    Form, Json,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use contract::report::{RingReport, Shard};
use jiff::Timestamp;
use proto::ring::Desc;
use serde::Deserialize;
use tracing::info;

use super::{State, html, text};
use crate::ring_view::unix_seconds;

/// The form that the page posts.
#[derive(Debug, Deserialize)]
pub(super) struct Forget {
    forget: String,
}

/// Shows the ring.
pub(super) fn page(state: &State, json: bool) -> Response {
    let status = state.ring.load().status(unix_seconds());
    if json {
        let shards = status.members.into_iter().map(shard).collect();
        return Json(RingReport {
            shards,
            now: time(status.now),
        })
        .into_response();
    }
    let rows = status.members.iter().map(|member| {
        let id = html::escape(&member.id);
        let forget = format!(
            "<form method=\"post\"><button name=\"forget\" value=\"{id}\">Forget</button></form>"
        );
        vec![
            id,
            html::escape(&member.state),
            html::escape(&member.address),
            html::escape(&member.zone),
            time(member.registered_timestamp),
            time(member.timestamp),
            member.tokens.len().to_string(),
            format!("{:.2}%", member.ownership * 100.0),
            forget,
        ]
    });
    let head = [
        "Instance",
        "State",
        "Address",
        "Zone",
        "Registered",
        "Last heartbeat",
        "Tokens",
        "Ownership",
        "",
    ];
    html::page("Ring", &html::table(&head, rows))
}

/// Takes an instance out of the ring that will not come back by itself.
pub(super) fn forget(state: &State, Form(Forget { forget }): Form<Forget>) -> Response {
    let key = state
        .config
        .ingester
        .lifecycler
        .ring
        .kvstore
        .ingester_ring_key();
    let mut known = false;
    let remove = |ring: Option<&Desc>| {
        let mut ring = ring?.clone();
        known = ring.ingesters.remove(&forget).is_some();
        known.then_some(ring)
    };
    match state.gossip.kv().cas(&key, remove) {
        Ok(_) if known => {
            info!(instance = forget, "instance forgotten on request");
            Redirect::to("ring").into_response()
        }
        Ok(_) => text(
            StatusCode::NOT_FOUND,
            &format!("no instance {forget:?} in the ring\n"),
        ),
        Err(error) => text(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("{error}; try again\n"),
        ),
    }
}

fn shard(member: ::ring::Member) -> Shard {
    Shard {
        id: member.id,
        state: member.state,
        address: member.address,
        timestamp: time(member.timestamp),
        registered_timestamp: time(member.registered_timestamp),
        read_only: member.read_only,
        zone: member.zone,
        tokens: member.tokens,
        ..Shard::default()
    }
}

fn time(unix: i64) -> String {
    Timestamp::from_second(unix).map_or_else(|_| unix.to_string(), |time| time.to_string())
}
