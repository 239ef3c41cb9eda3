//! The token ring as the pods of a cluster report it, summed up for the status:
//! plain functions, without I/O.

use std::collections::BTreeMap;

use contract::report::{RingReport, Shard};
use crds::{InstanceStatus, MemberCounts, Ownership, RingStatus};
use xxhash_rust::xxh3::Xxh3;

/// Most members that the status lists.
const LISTED: usize = 100;

/// What one pod says about the ring; `None` when it does not answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    pub(crate) pod: String,
    pub(crate) report: Option<RingReport>,
}

/// Sums up the views of all pods that were asked, and takes the view that most of
/// them share. `None` when no pod answered. Heartbeats leave no trace in the
/// result, so that a steady ring has a steady status.
pub(crate) fn summarize(views: &[View], wanted: i32) -> Option<RingStatus> {
    let mut by_digest: BTreeMap<String, Vec<&RingReport>> = BTreeMap::new();
    for report in views.iter().filter_map(|view| view.report.as_ref()) {
        by_digest.entry(digest(report)).or_default().push(report);
    }
    let (digest, agreeing) = by_digest
        .into_iter()
        .max_by_key(|(_, reports)| reports.len())?;
    let members = members(agreeing[0]);
    let counts = count(&members);
    Some(RingStatus {
        digest,
        display: format!("{}/{wanted}", counts.active),
        members: counts,
        tokens: int(members.iter().map(|member| member.tokens.len()).sum()),
        ownership: ownership(&members),
        asked: int(views.len()),
        agreeing: int(agreeing.len()),
        instances: members.iter().take(LISTED).map(|it| instance(it)).collect(),
    })
}

/// Returns the members in order of their names. One that has left is remembered
/// by gossip for a while, and is no member.
fn members(report: &RingReport) -> Vec<&Shard> {
    let mut members: Vec<_> = report
        .shards
        .iter()
        .filter(|it| it.state != "LEFT")
        .collect();
    members.sort_by(|a, b| a.id.cmp(&b.id));
    members
}

fn digest(report: &RingReport) -> String {
    let mut hash = Xxh3::new();
    for member in members(report) {
        for text in [&member.id, &member.state, &member.address, &member.zone] {
            hash.update(text.as_bytes());
            hash.update(&[0]);
        }
        for token in &member.tokens {
            hash.update(&token.to_be_bytes());
        }
        hash.update(&[u8::from(member.read_only)]);
    }
    format!("{:016x}", hash.digest())
}

fn count(members: &[&Shard]) -> MemberCounts {
    let mut counts = MemberCounts::default();
    for member in members {
        let slot = match member.state.as_str() {
            "ACTIVE" => &mut counts.active,
            "PENDING" => &mut counts.pending,
            "JOINING" => &mut counts.joining,
            "LEAVING" => &mut counts.leaving,
            _ => &mut counts.unhealthy,
        };
        *slot += 1;
    }
    counts
}

fn instance(member: &Shard) -> InstanceStatus {
    InstanceStatus {
        id: member.id.clone(),
        state: member.state.clone(),
        address: member.address.clone(),
        tokens: int(member.tokens.len()),
    }
}

/// Returns the share of the ring of the smallest and the largest owner. A token
/// owns the keys between the token before it and itself.
fn ownership(members: &[&Shard]) -> Option<Ownership> {
    let mut tokens: Vec<(u32, usize)> = members
        .iter()
        .enumerate()
        .flat_map(|(owner, member)| member.tokens.iter().map(move |token| (*token, owner)))
        .collect();
    tokens.sort_unstable();
    let (last, _) = *tokens.last()?;
    let mut owned = vec![0_u64; members.len()];
    let mut before = u64::from(last);
    for (token, owner) in tokens {
        let token = u64::from(token);
        owned[owner] += (token + KEYS - before) % KEYS;
        before = token;
    }
    // One token alone owns all keys, and is zero away from itself.
    if owned.iter().all(|keys| *keys == 0) {
        owned[0] = KEYS;
    }
    Some(Ownership {
        min: percent(*owned.iter().min()?),
        max: percent(*owned.iter().max()?),
    })
}

/// Number of keys in the ring.
const KEYS: u64 = 1 << 32;

fn percent(keys: u64) -> String {
    let tenths = (keys * 1000 + KEYS / 2) / KEYS;
    format!("{}.{}%", tenths / 10, tenths % 10)
}

fn int(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, state: &str, tokens: &[u32]) -> Shard {
        Shard {
            id: id.to_owned(),
            state: state.to_owned(),
            address: format!("{id}:4040"),
            tokens: tokens.to_vec(),
            ..Shard::default()
        }
    }

    fn view(pod: &str, shards: Vec<Shard>) -> View {
        let report = RingReport {
            shards,
            now: pod.to_owned(),
        };
        View {
            pod: pod.to_owned(),
            report: Some(report),
        }
    }

    #[test]
    fn agreeing_views_are_summed_up() {
        let ring = || vec![shard("b", "ACTIVE", &[1 << 31]), shard("a", "ACTIVE", &[0])];
        let status = summarize(&[view("a", ring()), view("b", ring())], 2).unwrap();
        assert_eq!((status.display.as_str(), status.tokens), ("2/2", 2));
        assert_eq!((status.asked, status.agreeing), (2, 2));
        assert_eq!(status.instances[0].id, "a");
        let half = Some(Ownership {
            min: "50.0%".to_owned(),
            max: "50.0%".to_owned(),
        });
        assert_eq!(status.ownership, half);
    }

    #[test]
    fn heartbeats_and_order_leave_no_trace() {
        let mut later = view(
            "b",
            vec![shard("b", "ACTIVE", &[2]), shard("a", "ACTIVE", &[1])],
        );
        later.report.as_mut().unwrap().shards[0].timestamp = "2026-01-01T00:00:00Z".to_owned();
        let sooner = view(
            "a",
            vec![shard("a", "ACTIVE", &[1]), shard("b", "ACTIVE", &[2])],
        );
        assert_eq!(summarize(&[sooner], 2), summarize(&[later], 2));
    }

    #[test]
    fn view_of_the_majority_counts() {
        let full = || vec![shard("a", "ACTIVE", &[1]), shard("b", "ACTIVE", &[2])];
        let alone = vec![shard("c", "ACTIVE", &[3])];
        let views = [view("a", full()), view("c", alone), view("b", full())];
        let status = summarize(&views, 3).unwrap();
        assert_eq!((status.asked, status.agreeing), (3, 2));
        assert_eq!(status.display, "2/3");
    }

    #[test]
    fn members_that_left_are_none() {
        let status = summarize(&[view("a", vec![shard("a", "LEFT", &[1])])], 1).unwrap();
        assert_eq!((status.tokens, status.ownership), (0, None));
        assert_eq!(status.instances, []);
    }

    #[test]
    fn silent_pods_are_asked_and_do_not_agree() {
        let silent = View {
            pod: "b".to_owned(),
            report: None,
        };
        assert_eq!(summarize(std::slice::from_ref(&silent), 1), None);
        let status = summarize(&[silent, view("a", vec![shard("a", "PENDING", &[])])], 1).unwrap();
        assert_eq!(
            (status.asked, status.agreeing, status.members.pending),
            (2, 1, 1)
        );
    }

    #[test]
    fn one_token_owns_everything() {
        let status = summarize(&[view("a", vec![shard("a", "ACTIVE", &[7])])], 1).unwrap();
        assert_eq!(status.ownership.unwrap().min, "100.0%");
    }
}
