//! `/memberlist`: the members of the gossip cluster and what they store.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use contract::report::{Member, MemberlistReport, StoreEntry};
use jiff::Timestamp;

use super::{State, html};

/// Shows members and the key-value store.
pub(super) fn page(state: &State, json: bool) -> Response {
    let members = state.gossip.members();
    let entries = state.gossip.kv().entries();
    if json {
        return Json(report(&members, &entries)).into_response();
    }
    let member_rows = members.iter().map(|member| {
        vec![
            html::escape(&member.name),
            member.addr.to_string(),
            member.state.to_string(),
            member.incarnation.to_string(),
            time(member.since),
        ]
    });
    let entry_rows = entries.iter().map(|entry| {
        vec![
            html::escape(&entry.key),
            html::escape(entry.codec),
            entry.version.to_string(),
            entry.deleted.to_string(),
            time_of_ms(entry.changed_at_ms),
            entry.instances.to_string(),
            entry.tombstones.to_string(),
        ]
    });
    let body = format!(
        "<p>This node: {}</p><h2>Members</h2>{}<h2>Key-value store</h2>{}",
        html::escape(state.gossip.local_name()),
        html::table(
            &["Name", "Address", "State", "Incarnation", "Since"],
            member_rows
        ),
        html::table(
            &[
                "Key",
                "Codec",
                "Version",
                "Deleted",
                "Updated",
                "Instances",
                "Tombstones"
            ],
            entry_rows
        ),
    );
    html::page("Memberlist", &body)
}

fn report(members: &[gossip::Member], entries: &[gossip::EntryStatus]) -> MemberlistReport {
    MemberlistReport {
        now: time(std::time::SystemTime::now()),
        sorted_members: members
            .iter()
            .map(|member| Member {
                name: member.name.clone(),
                addr: member.addr.ip().to_string(),
                port: member.addr.port(),
                state: member.state as u8,
            })
            .collect(),
        store: entries
            .iter()
            .map(|entry| {
                let report = StoreEntry {
                    version: entry.version,
                    codec_id: entry.codec.to_owned(),
                    deleted: entry.deleted,
                    update_time: time_of_ms(entry.changed_at_ms),
                };
                (entry.key.clone(), report)
            })
            .collect(),
        ..MemberlistReport::default()
    }
}

fn time(time: std::time::SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| String::new(), |time| time.to_string())
}

fn time_of_ms(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).map_or_else(|_| String::new(), |time| time.to_string())
}
