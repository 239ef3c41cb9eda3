//! What the machine says about the cluster, for the log and the application.

use memberlist::Event;

use crate::delegate::MemberEvent;
use crate::member::{Clock, Member};

/// Logs what people want to know.
pub(crate) fn log(event: &Event) {
    match event {
        Event::Joined(node) => {
            tracing::info!(node = %node.name, addr = %node.address, "member joined")
        }
        Event::Left(node) => tracing::info!(node = %node.name, "member left"),
        Event::Dead(node) => {
            tracing::warn!(node = %node.name, addr = %node.address, "member is dead")
        }
        Event::Suspected(node) => tracing::info!(node = %node.name, "member is suspected"),
        Event::Refuted { incarnation } => {
            tracing::info!(incarnation, "refuted a rumour about this node")
        }
        Event::Conflict {
            name,
            known,
            offered,
        } => {
            tracing::warn!(node = %name, %known, %offered, "two members claim one name");
        }
        Event::ReachedByStream { node } => {
            tracing::warn!(%node, "packets to a member get lost, streams do not");
        }
        Event::Updated(node) => tracing::debug!(node = %node.name, "member changed"),
        Event::PingCompleted { .. } => {}
    }
}

/// Returns whether the list of members is another one now.
pub(crate) fn changes_members(event: &Event) -> bool {
    !matches!(
        event,
        Event::PingCompleted { .. } | Event::ReachedByStream { .. } | Event::Conflict { .. }
    )
}

/// Returns what the application is told.
pub(crate) fn member_event(event: &Event, clock: &Clock) -> Option<MemberEvent> {
    Some(match event {
        Event::Joined(node) => MemberEvent::Joined(Member::new(node, clock)),
        Event::Updated(node) => MemberEvent::Updated(Member::new(node, clock)),
        Event::Suspected(node) => MemberEvent::Suspected(Member::new(node, clock)),
        Event::Dead(node) => MemberEvent::Dead(Member::new(node, clock)),
        Event::Left(node) => MemberEvent::Left(Member::new(node, clock)),
        Event::Conflict {
            name,
            known,
            offered,
        } => MemberEvent::Conflict {
            name: name.as_ref().to_owned(),
            known: known.socket_addr(),
            offered: offered.socket_addr(),
        },
        Event::PingCompleted { node, rtt, payload } => MemberEvent::Answered {
            name: node.as_ref().to_owned(),
            round_trip: *rtt,
            payload: payload.clone(),
        },
        Event::Refuted { .. } | Event::ReachedByStream { .. } => return None,
    })
}
