//! The rings as people and tools see them: pages, forgetting, metrics.

mod harness;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    path::Path,
};

use harness::{Node, eventually, fresh_address, pprof};
use serde_json::Value;

/// Starts a node with a name of its own, gossiping with `seed`.
fn start(name: &str, address: Ipv4Addr, seed: Ipv4Addr, dir: &Path, args: &[&str]) -> Node {
    let mut all = vec![
        format!("-ingester.lifecycler.ID={name}"),
        format!("-distributor.ring.instance-id={name}"),
        format!("-memberlist.join={seed}"),
        "-distributor.replication-factor=3".to_owned(),
        "-ingester.heartbeat-period=500ms".to_owned(),
        "-distributor.ring.heartbeat-period=500ms".to_owned(),
    ];
    all.extend(args.iter().map(|&arg| arg.to_owned()));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    Node::start(address, &dir.join(name), &all)
}

async fn cluster(dir: &Path, args: &[&str]) -> Vec<Node> {
    let addresses = [fresh_address(), fresh_address(), fresh_address()];
    let nodes: Vec<Node> = ["a", "b", "c"]
        .iter()
        .zip(addresses)
        .map(|(name, address)| start(name, address, addresses[0], dir, args))
        .collect();
    for node in &nodes {
        node.ready().await;
        eventually("everybody is in both rings", async || {
            let ingesters = ids_of_active(node, "/ring").await == ["a", "b", "c"];
            (ingesters && ids_of_active(node, "/distributor/ring").await == ["a", "b", "c"])
                .then_some(())
        })
        .await;
    }
    nodes
}

async fn get(node: &Node, path: &str, accept: &str) -> (u16, String) {
    let request = reqwest::Client::new().get(node.url(path));
    let answer = request
        .header("accept", accept)
        .send()
        .await
        .expect("the page answers");
    (
        answer.status().as_u16(),
        answer.text().await.expect("the page is text"),
    )
}

async fn shards(node: &Node, path: &str) -> Vec<Value> {
    let (_, text) = get(node, path, "application/json").await;
    let page: Value = serde_json::from_str(&text).expect("the page is JSON");
    page["shards"].as_array().expect("shards").clone()
}

async fn ids(node: &Node, path: &str) -> Vec<String> {
    shards(node, path)
        .await
        .iter()
        .map(|shard| shard["id"].as_str().expect("an id").to_owned())
        .collect()
}

async fn ids_of_active(node: &Node, path: &str) -> Vec<String> {
    shards(node, path)
        .await
        .iter()
        .filter(|shard| shard["state"] == "ACTIVE")
        .map(|shard| shard["id"].as_str().expect("an id").to_owned())
        .collect()
}

async fn forget(node: &Node, path: &str, id: &str, headers: &[(&str, &str)]) -> u16 {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let mut request = client
        .post(node.url(path))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("forget={id}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
        .send()
        .await
        .expect("the form answers")
        .status()
        .as_u16()
}

#[tokio::test]
async fn a_dead_instance_is_shown_and_forgotten_on_every_node() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let timeouts = [
        "-ring.heartbeat-timeout=2s",
        "-distributor.ring.heartbeat-timeout=2s",
    ];
    let mut nodes = cluster(dir.path(), &timeouts).await;

    let shard = &shards(&nodes[1], "/ring").await[0];
    assert_eq!(shard["tokens"].as_array().map(Vec::len), Some(128));
    assert_eq!(shard["read_only_updated_timestamp"], "0001-01-01T00:00:00Z");
    assert_eq!(
        shards(&nodes[1], "/distributor/ring").await[0]["tokens"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let (status, page) = get(&nodes[1], "/ring?tokens=true", "text/html").await;
    assert_eq!(status, 200);
    for part in [
        "ACTIVE",
        "name=\"forget\" value=\"c\"",
        "Hide tokens",
        "Instance: c",
        "128",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<script"), "{page}");

    nodes[2].crash();
    for path in ["/ring", "/distributor/ring"] {
        eventually("the dead one is unhealthy", async || {
            let all = shards(&nodes[0], path).await;
            (all[2]["state"] == "UNHEALTHY").then_some(())
        })
        .await;
    }
    for (state, count) in [("ACTIVE", 2.0), ("UNHEALTHY", 1.0), ("JOINING", 0.0)] {
        let metric = format!("pyroscope_ring_members{{name=\"ingester\",state=\"{state}\"}}");
        assert_eq!(nodes[0].metric(&metric).await, Some(count), "{state}");
    }

    let evil = [("origin", "http://evil.example")];
    assert_eq!(forget(&nodes[0], "/ring", "c", &evil).await, 403);
    assert_eq!(forget(&nodes[0], "/ring", "nobody", &[]).await, 404);
    for path in ["/ring", "/distributor/ring"] {
        assert_eq!(forget(&nodes[0], path, "c", &[]).await, 302);
        for node in &nodes[..2] {
            eventually("the dead one is gone everywhere", async || {
                (ids(node, path).await == ["a", "b"]).then_some(())
            })
            .await;
        }
    }

    // One that lives comes back by itself.
    assert_eq!(forget(&nodes[0], "/ring", "b", &[]).await, 302);
    eventually("the living one is back with its tokens", async || {
        let all = shards(&nodes[0], "/ring").await;
        let back = all.iter().find(|shard| shard["id"] == "b")?;
        (back["tokens"].as_array().map(Vec::len) == Some(128)).then_some(())
    })
    .await;
    assert_eq!(nodes[0].terminate(), Some(0));
    eventually("who stops leaves both rings", async || {
        let gone = ids(&nodes[1], "/ring").await == ["b"];
        (gone && ids(&nodes[1], "/distributor/ring").await == ["b"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn members_dead_for_long_are_forgotten_unless_too_many_are() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let args = [
        "-ring.heartbeat-timeout=1s",
        "-ingester.auto-forget-unhealthy-periods=3",
        "-ingester.readiness-check-ring-health=false",
    ];
    let mut nodes = cluster(dir.path(), &args).await;
    nodes[2].crash();
    eventually("the dead one is forgotten", async || {
        (ids(&nodes[0], "/ring").await == ["a", "b"]).then_some(())
    })
    .await;
    let forgotten = "pyroscope_ring_auto_forgotten_members_total{name=\"ingester\"}";
    let mut counted = 0.0;
    for node in &nodes[..2] {
        counted += node.metric(forgotten).await.expect("the metric is there");
    }
    assert!(counted >= 1.0, "{counted}");
    assert!(
        nodes[..2]
            .iter()
            .any(|node| node.log().contains("forgot members that are dead for long"))
    );
}

/// Returns the families of a process, as they are queried: name, type and what
/// it means.
fn families(metrics: &str) -> BTreeMap<String, (String, String)> {
    let types: BTreeMap<&str, &str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let helps = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    helps
        .map(|(name, help)| {
            let kind = types[name];
            let suffix = if kind == "counter" { "_total" } else { "" };
            (
                format!("{name}{suffix}"),
                (kind.to_owned(), help.to_owned()),
            )
        })
        .collect()
}

/// Compares the reference page with what a process exposes, or with UPDATE in
/// the environment writes it anew; returns the names of Phlare.
fn check_reference(metrics: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
    let page = std::fs::read_to_string(&path).expect("the reference page is there");
    let start = page.find("## Always").expect("the page has the heading");
    let sometimes: BTreeSet<&str> = page[..start]
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let (phlare, mut own): (BTreeMap<_, _>, BTreeMap<_, _>) = families(metrics)
        .into_iter()
        .partition(|(name, _)| name.starts_with("phlare_"));
    own.retain(|name, _| !sometimes.contains(name.as_str()));
    let rows: String = own
        .iter()
        .map(|(name, (kind, help))| format!("| `{name}` | {kind} | {help} |\n"))
        .collect();
    let table = format!("## Always\n\n| Metric | Type | Meaning |\n|---|---|---|\n{rows}");
    let wanted = format!("{}{table}", &page[..start]);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &wanted).expect("the page can be written");
    } else {
        assert!(
            page == wanted,
            "docs/reference/metrics.md is stale; run UPDATE=1 cargo test -p pyroscope-server --test rings\n{table}"
        );
    }
    phlare.into_keys().collect()
}

#[tokio::test]
async fn the_reference_lists_the_metrics_that_a_process_exposes() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let node = Node::start(
        fresh_address(),
        dir.path(),
        &["-server.phlare-metric-names"],
    );
    node.ready().await;
    assert_eq!(node.push("app", &pprof("work", 1, 0)).await.0, 200);
    let (_, text) = get(&node, "/metrics", "*/*").await;
    assert!(text.ends_with("# EOF\n"));
    let phlare = check_reference(&text);
    for name in [
        "phlare_ring_members",
        "phlare_ring_tokens_owned",
        "phlare_memberlist_client_cas_attempt_total",
    ] {
        assert!(phlare.contains(name), "{name}: {phlare:?}");
    }
    for prefix in ["phlare", "pyroscope"] {
        let metric = format!("{prefix}_ring_tokens_total{{name=\"ingester\"}}");
        assert_eq!(node.metric(&metric).await, Some(128.0), "{metric}");
    }
    let types: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .collect();
    let distinct: BTreeSet<&&str> = types.iter().collect();
    assert_eq!(types.len(), distinct.len(), "a family is written twice");
}

#[tokio::test]
async fn the_memberlist_page_shows_values_and_messages() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (first, second) = (fresh_address(), fresh_address());
    let history = ["-memberlist.message-history-buffer-bytes=1000000"];
    let a = start("a", first, first, dir.path(), &history);
    let _b = start("b", second, first, dir.path(), &history);
    eventually("both rings are known", async || {
        (ids_of_active(&a, "/ring").await == ["a", "b"]).then_some(())
    })
    .await;
    let report = eventually("messages came and went", async || {
        let (_, text) = get(&a, "/memberlist", "application/json").await;
        let report: Value = serde_json::from_str(&text).expect("the page is JSON");
        let some = |name: &str| !report[name].as_array().expect("messages").is_empty();
        (some("SentMessages") && some("ReceivedMessages")).then_some(report)
    })
    .await;
    let keys: Vec<&String> = report["Store"].as_object().expect("keys").keys().collect();
    assert_eq!(keys, ["collectors/distributor", "collectors/ring"]);
    assert_eq!(report["Store"]["collectors/ring"]["CodecID"], "ringDesc");
    assert!(report["StoreSizes"]["collectors/ring"].as_u64() > Some(500));
    assert_eq!(report["SortedMembers"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["MessageHistoryBufferBytes"], 1_000_000);

    let (status, page) = get(&a, "/memberlist", "text/html").await;
    assert_eq!(status, 200);
    for part in [
        "?viewKey=collectors/ring&amp;format=json",
        "?deleteMessages=true",
        "Received",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let (status, value) = get(&a, "/memberlist?viewKey=collectors/ring&format=json", "").await;
    let value: Value = serde_json::from_str(&value).expect("the value is JSON");
    assert_eq!(status, 200);
    let tokens = value["ingesters"]["b"]["tokens"].as_array().map(Vec::len);
    assert_eq!(tokens, Some(128), "{value}");
    let id = &report["ReceivedMessages"][0]["ID"];
    assert_eq!(
        get(
            &a,
            &format!("/memberlist?viewMsg={id}&format=json-pretty"),
            ""
        )
        .await
        .0,
        200
    );
    let (status, bytes) = get(&a, "/memberlist?downloadKey=collectors/distributor", "").await;
    assert!(status == 200 && !bytes.is_empty());
    for (query, wanted) in [
        ("viewKey=nothing", 404),
        ("viewMsg=99999999", 404),
        ("viewMsg=x", 400),
        ("downloadKey=nothing", 404),
    ] {
        assert_eq!(
            get(&a, &format!("/memberlist?{query}"), "").await.0,
            wanted,
            "{query}"
        );
    }
    assert_eq!(
        get(&a, "/memberlist?deleteMessages=true", "text/html")
            .await
            .0,
        200
    );
    let gone = format!("/memberlist?viewMsg={id}");
    assert_eq!(get(&a, &gone, "").await.0, 404);
}
