//! Stacks as text, as tries and as trees.

use super::*;

/// `a;b` with self value 3 below a root, as tries and trees have it.
const TRIE: &[u8] = b"\x00\x00\x01\x03a;b\x03\x00";
const TREE: &[u8] = b"\x00\x00\x01\x01a\x00\x01\x01b\x03\x00";

#[tokio::test]
async fn each_text_and_binary_format_is_found_by_its_type() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(&dir, &[]).await;
    let ten_ms = 10_000_000;
    let rows: [(&str, &[u8], &str, &str, i64); 14] = [
        ("name=r0.cpu", b"a;b 3\n", "r0", CPU, 3 * ten_ms),
        (
            "name=r1&format=folded&sampleRate=1000",
            b"a;b 3",
            "r1",
            CPU,
            3_000_000,
        ),
        (
            "name=r2.wall&format=groups",
            b"a;b 3",
            "r2",
            WALL,
            3 * ten_ms,
        ),
        (
            "name=r3.inuse_space&format=whatever",
            b"a;b 3",
            "r3",
            "memory:inuse_space:bytes::",
            3,
        ),
        (
            "name=r4.alloc_objects",
            b"a;b 3",
            "r4",
            "memory:alloc_objects:count::",
            3,
        ),
        (
            "name=r5.goroutines",
            b"a;b 3",
            "r5",
            "goroutine:goroutines:count::",
            3,
        ),
        (
            "name=r6.mutex_count",
            b"a;b 3",
            "r6",
            "mutex:contentions:count::",
            3,
        ),
        (
            "name=r7.lock_duration",
            b"a;b 3",
            "r7",
            "block:delay:nanoseconds::",
            3,
        ),
        (
            "name=r8.exceptions",
            b"a;b 3",
            "r8",
            "exceptions:samples:count::",
            3,
        ),
        (
            "name=r9&format=lines",
            b"a;b\na;b\na;b\n",
            "r9",
            CPU,
            3 * ten_ms,
        ),
        ("name=r10&format=trie", TRIE, "r10", CPU, 3 * ten_ms),
        ("name=r11&format=tree", TREE, "r11", CPU, 3 * ten_ms),
        (
            "name=r12.itimer&units=samples&aggregationType=sum",
            b"a;b 3",
            "r12",
            CPU,
            3 * ten_ms,
        ),
        (
            "name=r13.live&from=now-1m&until=now",
            b"a;b 3",
            "r13",
            "memory:live:count::",
            3,
        ),
    ];
    for (at, (query, body, service, profile_type, total)) in rows.into_iter().enumerate() {
        let path = ["/ingest", "/pyroscope/ingest"][at % 2];
        let (status, text) = post(&node, &format!("{path}?{query}"), &[], body).await;
        assert_eq!((status, &*text), (200, ""), "{query}");
        let selector = format!("{{service_name=\"{service}\", pyroscope_spy=\"unknown\"}}");
        expect(&node, profile_type, &selector, total, "b").await;
    }
    for (kind, body, name) in [("trie", TRIE, "t1"), ("tree", TREE, "t2")] {
        let kind = format!("binary/octet-stream+{kind}");
        let headers = [("content-type", &*kind)];
        let answer = post(&node, &format!("/ingest?name={name}"), &headers, body).await;
        assert_eq!(answer.0, 200, "{answer:?}");
        expect(
            &node,
            CPU,
            &format!("{{service_name=\"{name}\"}}"),
            3 * ten_ms,
            "b",
        )
        .await;
    }
}
