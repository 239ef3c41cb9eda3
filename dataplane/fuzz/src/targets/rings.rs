//! Ring descriptors and their merge.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use proto::ring::{Desc, InstanceDesc};
use ring::desc;

/// Two descriptors of peers, the first after its length in two bytes.
pub(crate) fn check(data: &[u8]) {
    let Some((length, rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
    let (first, second) = rest.split_at(length);
    let (Ok(first), Ok(second)) = (Desc::decode(first), Desc::decode(second)) else {
        return;
    };
    let again = Desc::decode(first.encode_to_vec().as_slice());
    assert_eq!(again.as_ref(), Ok(&first));
    merge(&first, second);
}

fn merge(first: &Desc, second: Desc) {
    let mut local = Desc::default();
    desc::merge(&mut local, first.clone());
    unique_tokens(&local);
    if let Some(change) = desc::merge(&mut local, second.clone()) {
        for (id, instance) in &change.ingesters {
            assert_eq!(
                local.ingesters.get(id),
                Some(instance),
                "what changed is what is there"
            );
        }
        unique_tokens(&local);
    }
    // A repetition may give back tokens that were cut, and they are cut again.
    let settled = local.clone();
    assert_eq!(
        desc::merge(&mut local, settled.clone()),
        None,
        "its own state is no news"
    );
    assert_eq!(local, settled);

    let removed = desc::merge_local(&mut local, Desc::default(), i64::MAX);
    assert_eq!(removed.is_some(), desc::live(&settled).next().is_some());
    assert_eq!(
        desc::live(&local).count(),
        0,
        "a removed instance leaves a tombstone"
    );
    let tombstones = local.ingesters.len();
    assert_eq!(tombstones, settled.ingesters.len());
}

/// No token has two owners among the living.
fn unique_tokens(ring: &Desc) {
    let all = desc::live(ring).flat_map(|(_, instance)| instance.tokens.iter());
    let mut seen = BTreeSet::new();
    for token in all {
        assert!(seen.insert(token), "token {token} has two owners");
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let ring = |members: &[(&str, i32, i64, &[u32])]| {
        let record = |&(id, state, timestamp, tokens): &(&str, i32, i64, &[u32])| {
            let instance = InstanceDesc {
                id: id.to_owned(),
                addr: format!("{id}:4040"),
                zone: "zone-a".to_owned(),
                state,
                timestamp,
                registered_timestamp: 1,
                tokens: tokens.to_vec(),
                ..InstanceDesc::default()
            };
            (id.to_owned(), instance)
        };
        let ingesters: BTreeMap<String, InstanceDesc> = members.iter().map(record).collect();
        Desc { ingesters }.encode_to_vec()
    };
    let pair = |first: Vec<u8>, second: Vec<u8>| {
        [&(first.len() as u16).to_be_bytes(), &first[..], &second[..]].concat()
    };
    vec![
        pair(
            ring(&[("a", 0, 10, &[1, 2])]),
            ring(&[("a", 1, 11, &[1, 2])]),
        ),
        pair(
            ring(&[("a", 0, 10, &[1, 2])]),
            ring(&[("b", 0, 10, &[2, 3])]),
        ),
        pair(ring(&[("a", 0, 10, &[1])]), ring(&[("a", 4, 10, &[])])),
        pair(
            ring(&[
                ("a", 2, 9, &[5, 6]),
                ("b", 3, 9, &[7]),
                ("c", 0, 9, &[8, 9]),
            ]),
            ring(&[("b", 1, 12, &[5, 7]), ("c", 4, 9, &[]), ("d", 9, 9, &[1])]),
        ),
    ]
}
