//! `/memberlist`: the members of the gossip cluster, what they store, and what
//! they said lately.

use axum::{
    Json,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use contract::report::{Member, MemberlistReport, Message, Pair, StoreEntry};
use serde::Deserialize;

use super::{State, html, same_origin, text, time, wants_json};
use crate::ring_view::{unix_nanos, unix_seconds};

/// The query of the page; at most one of its parts is looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Query {
    /// A key whose value is shown.
    view_key: Option<String>,
    /// A key whose value is downloaded as peers get it.
    download_key: Option<String>,
    /// A message whose value is shown.
    view_msg: Option<String>,
    /// "true" forgets the messages.
    delete_messages: Option<String>,
    /// How a value is shown: `json`, `json-pretty` or `struct`.
    format: String,
}

/// Shows members, key-value store and messages, or what the query asks for.
pub(super) fn page(state: &State, query: &Query, headers: &HeaderMap) -> Response {
    let kv = state.gossip.kv();
    if let Some(key) = &query.download_key {
        return download(state, key);
    }
    if let Some(key) = &query.view_key {
        return value(kv.value_json(key), "value not found\n", &query.format);
    }
    if let Some(id) = &query.view_msg {
        let Ok(id) = id.parse() else {
            return text(StatusCode::BAD_REQUEST, "a message is named by a number\n");
        };
        return value(kv.message_json(id), "message not found\n", &query.format);
    }
    if query.delete_messages.as_deref() == Some("true") {
        return delete_messages(state, headers);
    }
    let report = report(state);
    if wants_json(headers) {
        Json(report).into_response()
    } else {
        show(state, &report)
    }
}

fn value(value: Option<serde_json::Value>, missing: &str, format: &str) -> Response {
    let Some(value) = value else {
        return text(StatusCode::NOT_FOUND, missing);
    };
    // The third format of the original prints a struct of Go.
    let body = if format == "json" {
        format!("{value}\n")
    } else {
        format!("{value:#}\n")
    };
    text(StatusCode::OK, &body)
}

fn download(state: &State, key: &str) -> Response {
    let Some(bytes) = state.gossip.kv().encoded(key) else {
        return text(StatusCode::NOT_FOUND, "value not found\n");
    };
    let name: String = key
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename={name}"),
        ),
    ];
    (headers, bytes).into_response()
}

fn delete_messages(state: &State, headers: &HeaderMap) -> Response {
    if !same_origin::is_ours(headers) {
        return text(
            StatusCode::FORBIDDEN,
            "a page of another site may not delete messages\n",
        );
    }
    state.gossip.kv().clear_messages();
    let location = [(header::LOCATION, "?deleteMessages=false")];
    (StatusCode::FOUND, location).into_response()
}

fn report(state: &State) -> MemberlistReport {
    let kv = state.gossip.kv();
    let entries = kv.entries();
    let messages = kv.messages();
    let member = |member: &gossip::Member| Member {
        name: member.name.clone(),
        addr: member.addr.ip().to_string(),
        port: member.addr.port(),
        state: member.state as u8,
    };
    let entry = |entry: &gossip::EntryStatus| {
        let report = StoreEntry {
            version: entry.version,
            codec_id: entry.codec.to_owned(),
            deleted: entry.deleted,
            update_time: time::rfc3339_of_ms(entry.changed_at_ms),
        };
        (entry.key.clone(), report)
    };
    let size = |entry: &gossip::EntryStatus| (entry.key.clone(), entry.size as u64);
    MemberlistReport {
        now: time::rfc3339_of_ms(unix_nanos() / 1_000_000),
        sorted_members: state.gossip.members().iter().map(member).collect(),
        store: entries.iter().map(entry).collect(),
        store_sizes: entries.iter().map(size).collect(),
        total_store_size: entries.iter().map(|entry| entry.size as u64).sum(),
        message_history_buffer_bytes: state.config.memberlist.message_history_buffer_bytes as u64,
        sent_messages: messages.sent.into_iter().map(message).collect(),
        received_messages: messages.received.into_iter().map(message).collect(),
    }
}

fn message(message: gossip::kv::Message) -> Message {
    Message {
        id: message.id,
        time: time::rfc3339_of_ms(message.time_ms),
        size: message.size as u64,
        pair: Pair {
            key: message.key,
            codec: message.codec,
            deleted: message.deleted,
        },
        version: message.version,
        changes: message.changes.iter().map(ToString::to_string).collect(),
    }
}

fn show(state: &State, report: &MemberlistReport) -> Response {
    let members = state.gossip.members();
    let member_rows = members.iter().map(|member| {
        vec![
            html::escape(&member.name),
            member.addr.to_string(),
            member.state.to_string(),
            member.incarnation.to_string(),
        ]
    });
    let entry_rows = report.store.iter().map(|(key, entry)| {
        let size = report.store_sizes.get(key).copied().unwrap_or_default();
        vec![
            html::escape(key),
            html::escape(&entry.codec_id),
            entry.version.to_string(),
            entry.deleted.to_string(),
            entry.update_time.clone(),
            size.to_string(),
            key_links(key),
        ]
    });
    let body = format!(
        "<p>Current time: {now}. This node: {node}</p><h2>Members</h2>{members}\
         <h2>Key-value store</h2>{store}<p>{total} bytes. Versions count the changes that this node has seen.</p>\
         <h2>Messages</h2>{messages}",
        now = time::rfc3339(unix_seconds()),
        node = html::escape(state.gossip.local_name()),
        members = html::table(&["Name", "Address", "State", "Incarnation"], member_rows),
        store = html::table(
            &[
                "Key",
                "Codec",
                "Version",
                "Deleted",
                "Update Time",
                "Size",
                "Actions"
            ],
            entry_rows
        ),
        total = report.total_store_size,
        messages = show_messages(report),
    );
    html::page("Memberlist Status", &body)
}

fn show_messages(report: &MemberlistReport) -> String {
    if report.message_history_buffer_bytes == 0 {
        return "<p>None are kept; -memberlist.message-history-buffer-bytes says how many.</p>"
            .to_owned();
    }
    let head = [
        "ID",
        "Time",
        "Key",
        "Value",
        "Version After",
        "Changes",
        "Actions",
    ];
    let table = |messages: &[Message]| html::table(&head, messages.iter().map(message_row));
    format!(
        "<p><a href=\"?deleteMessages=true\">Delete all messages</a></p>\
         <h3>Received</h3>{}<h3>Sent</h3>{}",
        table(&report.received_messages),
        table(&report.sent_messages)
    )
}

fn message_row(message: &Message) -> Vec<String> {
    let id = message.id;
    vec![
        id.to_string(),
        message.time.clone(),
        html::escape(&message.pair.key),
        format!(
            "{} bytes, {}",
            message.size,
            html::escape(&message.pair.codec)
        ),
        message.version.to_string(),
        html::escape(&message.changes.join(", ")),
        format!(
            "<a href=\"?viewMsg={id}&amp;format=json\">json</a> \
             <a href=\"?viewMsg={id}&amp;format=json-pretty\">json-pretty</a>"
        ),
    ]
}

fn key_links(key: &str) -> String {
    let key = html::escape(&query_value(key));
    format!(
        "<a href=\"?viewKey={key}&amp;format=json\">json</a> \
         <a href=\"?viewKey={key}&amp;format=json-pretty\">json-pretty</a> \
         <a href=\"?downloadKey={key}\">download</a>"
    )
}

/// Escapes what would end a value in a URL's query.
fn query_value(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                escaped.push(char::from(byte));
            }
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_strangers_stay_inside_their_link() {
        let links = key_links("a/b&x=<\">ä");
        assert!(
            links.contains("?viewKey=a/b%26x%3D%3C%22%3E%C3%A4&amp;format=json"),
            "{links}"
        );
    }
}
