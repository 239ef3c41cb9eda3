//! Reports read what dskit's pages write, and what we write ourselves.

use pyroscope_contract::report::{Member, MemberlistReport, RingReport, Shard, StoreEntry};
use serde_json::json;

#[test]
fn a_ring_report_has_the_keys_of_the_page() {
    let report = RingReport {
        shards: vec![Shard {
            id: "ingester-0".to_owned(),
            state: "ACTIVE".to_owned(),
            address: "10.0.0.1:4040".to_owned(),
            tokens: vec![1, u32::MAX],
            ..Shard::default()
        }],
        now: "2026-11-21T05:00:00Z".to_owned(),
    };
    let page = serde_json::to_value(&report).unwrap();
    assert_eq!(
        page,
        json!({
            "shards": [{
                "id": "ingester-0", "state": "ACTIVE", "address": "10.0.0.1:4040",
                "timestamp": "", "registered_timestamp": "", "read_only": false,
                "read_only_updated_timestamp": "", "zone": "", "tokens": [1, 4_294_967_295_u32],
            }],
            "now": "2026-11-21T05:00:00Z",
        })
    );
    assert_eq!(serde_json::from_value::<RingReport>(page).unwrap(), report);
}

#[test]
fn a_memberlist_report_has_the_keys_of_the_page() {
    let entry = StoreEntry {
        version: 3,
        codec_id: "ringDesc".to_owned(),
        ..StoreEntry::default()
    };
    let report = MemberlistReport {
        sorted_members: vec![Member {
            name: "a".to_owned(),
            addr: "10.0.0.1".to_owned(),
            port: 7946,
            state: 0,
        }],
        store: [("collectors/ring".to_owned(), entry)].into(),
        ..MemberlistReport::default()
    };
    let page = serde_json::to_value(&report).unwrap();
    assert_eq!(
        page,
        json!({
            "Now": "",
            "SortedMembers": [{"Name": "a", "Addr": "10.0.0.1", "Port": 7946, "State": 0}],
            "Store": {"collectors/ring": {
                "Version": 3, "CodecID": "ringDesc", "Deleted": false, "UpdateTime": "",
            }},
            "StoreSizes": {}, "TotalStoreSize": 0, "MessageHistoryBufferBytes": 0,
            "SentMessages": [], "ReceivedMessages": [],
        })
    );
    assert_eq!(
        serde_json::from_value::<MemberlistReport>(page).unwrap(),
        report
    );
}

#[test]
fn keys_that_are_not_known_are_passed_over() {
    let report: RingReport =
        serde_json::from_value(json!({"shards": [{"id": "a", "versions": {}}], "more": 1}))
            .unwrap();
    assert_eq!(report.shards[0].id, "a");
    assert!(serde_json::from_value::<RingReport>(json!({"shards": [{"tokens": [-1]}]})).is_err());
}
