//! What `/ingest` refuses, and how.

use super::{harness::now_ms, *};

/// Path, headers, body, status, and a part of the text.
type Refused<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);

#[tokio::test]
async fn refusals_have_the_status_that_clients_know() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(&dir, &["-distributor.ingestion-body-limit-mb=1"]).await;
    let old = format!("/ingest?name=a&from={}", now_ms() - 7_200_000);
    let long = format!("/ingest?name=a%7Bx%3D{}%7D", "v".repeat(2049));
    let bomb = gzip(&vec![b'\n'; 2 << 20]);
    let gzipped = ("content-encoding", "gzip");
    let rows: [Refused<'_>; 14] = [
        (
            "/ingest",
            &[],
            b"a 1",
            400,
            "name: service name is required",
        ),
        (
            "/ingest?name=",
            &[],
            b"a 1",
            400,
            "name: service name is required",
        ),
        (
            "/ingest?name=my.app",
            &[],
            b"a 1",
            400,
            "unknown profile type: app",
        ),
        ("/ingest?name=a", &[], b"", 200, ""),
        ("/ingest?name=a&format=pprof", &[], b"", 200, ""),
        ("/ingest?name=a", &[], b"a ten", 422, "line 1"),
        (
            "/ingest?name=a&format=pprof",
            &[],
            b"garbage",
            422,
            "parsing IngestInput-pprof failed",
        ),
        ("/ingest?name=a&format=trie", &[], b"\x7f", 422, "cut short"),
        (
            "/ingest?name=a&format=speedscope",
            &[],
            b"{}",
            422,
            "unknown schema",
        ),
        (
            "/ingest?name=a",
            &[gzipped],
            b"no gzip",
            422,
            "decompress body",
        ),
        ("/ingest?name=a", &[gzipped], &bomb, 413, "too large"),
        (
            "/ingest?name=a",
            &[("content-encoding", "zstd")],
            b"x",
            415,
            "zstd",
        ),
        (&old, &[], b"a 1", 400, "outside of ingestion window"),
        (&long, &[], b"a 1", 400, "label value too long"),
    ];
    for (path, headers, body, want, part) in rows {
        let (status, text) = post(&node, path, headers, body).await;
        assert_eq!(status, want, "{path}: {text}");
        assert!(text.contains(part), "{path}: {text}");
    }
    let large = vec![b'\n'; (1 << 20) + 1];
    assert_eq!(post(&node, "/ingest?name=a", &[], &large).await.0, 413);
    let previous = form(&[("profile", b"x"), ("prev_profile", b"x")]);
    let (status, text) = post(&node, "/ingest?name=a", &[FORM], &previous).await;
    assert_eq!(status, 422, "{text}");
    assert!(text.contains("unsupported client version"), "{text}");
    let got = reqwest::get(node.url("/ingest?name=a")).await.unwrap();
    assert_eq!(got.status().as_u16(), 405);
}
