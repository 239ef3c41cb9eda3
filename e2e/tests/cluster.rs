//! The product as users see it, on a real Kubernetes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use e2e::{
    cluster_under_test::{ClusterUnderTest, NAME, PATIENCE, THREE_REPLICAS, manifest},
    kubectl,
    ledger::Load,
    operator, pods,
    pyroscope::{Client, unix_nanos},
    wait,
};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service, ServiceAccount},
    policy::v1::PodDisruptionBudget,
};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

/// Asks one ingester itself how many services it holds.
async fn services_held(pod: &Pod) -> Result<Vec<String>> {
    let ip = pod
        .status
        .as_ref()
        .and_then(|status| status.pod_ip.clone())
        .context("no pod IP")?;
    let ingester = Client::new(format!("http://{ip}:4040"))?;
    let body = json!({"name": "service_name"});
    let answer = ingester
        .call("ingester.v1.IngesterService/LabelValues", &body)
        .await?;
    let names = answer["names"].as_array().cloned().unwrap_or_default();
    Ok(names
        .iter()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect())
}

async fn ring_has(cluster: &ClusterUnderTest, active: i32, tokens: i32) -> Result<()> {
    wait::until(
        &format!("{active} ACTIVE with {tokens} tokens"),
        PATIENCE,
        async || {
            let ring = cluster
                .resource()
                .await?
                .status
                .and_then(|status| status.ring);
            let ring = ring.context("no ring in the status")?;
            ensure!(
                ring.members.active == active && ring.tokens == tokens,
                "{ring:?}"
            );
            Ok(())
        },
    )
    .await
}

#[tokio::test]
async fn apply_gives_a_ready_ring_that_replicates() -> Result<()> {
    operator::install()?;
    let cluster = ClusterUnderTest::start("e2e-ring", THREE_REPLICAS).await?;
    ring_has(&cluster, 3, 384).await?;

    let (push, query) = (cluster.push_client().await?, cluster.query_client().await?);
    push.push("once", 42, unix_nanos()).await?;
    for pod in cluster.pods("ingester").await? {
        wait::until("every ingester holds the profile", PATIENCE, async || {
            let held = services_held(&pod).await?;
            if held == ["once"] {
                Ok(())
            } else {
                Err(anyhow!("{held:?}"))
            }
        })
        .await?;
    }
    ensure!(
        query.total("once").await? == 42,
        "three replicas count once"
    );

    let columns = kubectl::must(&["get", "pyc", "-n", &cluster.namespace], "")?;
    for word in ["PHASE", "Running", "3/3", "True"] {
        ensure!(columns.contains(word), "no {word} in\n{columns}");
    }
    println!("{columns}");
    cluster.end().await
}

#[tokio::test]
async fn children_come_back_and_a_steady_cluster_is_left_alone() -> Result<()> {
    operator::install()?;
    let cluster = ClusterUnderTest::start("e2e-drift", THREE_REPLICAS).await?;
    let started = Instant::now();

    let services = cluster.api::<Service>();
    let gossip = format!("{NAME}-gossip");
    let old = services.get(&gossip).await?;
    services.delete(&gossip, &DeleteParams::default()).await?;
    let budgets = cluster.api::<PodDisruptionBudget>();
    budgets
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await?;
    let deployments = cluster.api::<Deployment>();
    let edit = Patch::Merge(json!({"spec": {"replicas": 0}}));
    let distributor = format!("{NAME}-distributor");
    deployments
        .patch(&distributor, &PatchParams::default(), &edit)
        .await?;
    let configs = cluster.api::<ConfigMap>();
    let config = format!("{NAME}-config");
    let edit = Patch::Merge(json!({"data": {"config.yaml": "target: nonsense\n"}}));
    configs
        .patch(&config, &PatchParams::default(), &edit)
        .await?;

    wait::until(
        "everything is put back",
        Duration::from_secs(20),
        async || {
            let service = services.get(&gossip).await?;
            ensure!(
                service.metadata.uid != old.metadata.uid,
                "the old service is still there"
            );
            ensure!(
                !budgets.list(&ListParams::default()).await?.items.is_empty(),
                "no budgets"
            );
            let replicas = deployments
                .get(&distributor)
                .await?
                .spec
                .and_then(|spec| spec.replicas);
            ensure!(replicas == Some(2), "distributor replicas {replicas:?}");
            let data = configs.get(&config).await?.data.unwrap_or_default();
            ensure!(
                !data.values().any(|text| text.contains("nonsense")),
                "the edited config"
            );
            Ok(())
        },
    )
    .await?;
    println!("drift put back in {:.1} s", started.elapsed().as_secs_f64());

    cluster.ready().await?;
    operator::rests(&cluster.client.0, Duration::from_secs(10)).await?;
    cluster.end().await
}

#[tokio::test]
async fn deleting_an_ingester_under_load_fails_no_push_and_loses_nothing() -> Result<()> {
    operator::install()?;
    let cluster = ClusterUnderTest::start("e2e-delete", THREE_REPLICAS).await?;
    let (push, query) = (cluster.push_client().await?, cluster.query_client().await?);
    let load = Load::start("load", &push, 4, Duration::from_millis(20));
    load.progresses(100).await?;
    for number in [1, 0] {
        let name = format!("{NAME}-ingester-{number}");
        let old = cluster.api::<Pod>().get(&name).await?;
        pods::delete(&cluster.client.0, &cluster.namespace, &name).await?;
        wait::until("a new pod in its place", PATIENCE, async || {
            let pod = cluster.api::<Pod>().get(&name).await?;
            ensure!(
                pod.metadata.uid != old.metadata.uid,
                "the old pod is still there"
            );
            Ok(())
        })
        .await?;
        cluster.ready().await?;
        ring_has(&cluster, 3, 384).await?;
        load.progresses(100).await?;
    }
    let ledger = load.stop().await;
    println!(
        "{} pushes acknowledged, {} failed",
        ledger.acknowledged(),
        ledger.failed()
    );
    ensure!(
        ledger.failed() == 0,
        "failed pushes: {:#?}",
        ledger.failures
    );
    ledger.check(&query).await?;
    cluster.end().await
}

#[tokio::test]
async fn killing_all_ingesters_at_once_loses_nothing() -> Result<()> {
    operator::install()?;
    let cluster = ClusterUnderTest::start("e2e-kill", THREE_REPLICAS).await?;
    let (push, query) = (cluster.push_client().await?, cluster.query_client().await?);
    let load = Load::start("load", &push, 4, Duration::from_millis(10));
    load.progresses(200).await?;
    pods::kill(&cluster.pods("ingester").await?)?;
    let killed = Instant::now();
    load.progresses(50).await?;
    println!(
        "writes go on {:.1} s after SIGKILL of all",
        killed.elapsed().as_secs_f64()
    );
    let ledger = load.stop().await;
    cluster.ready().await?;
    println!(
        "{} pushes acknowledged, {} failed",
        ledger.acknowledged(),
        ledger.failed()
    );
    ledger.check(&query).await?;
    cluster.end().await
}

#[tokio::test]
async fn ingesters_scale_from_three_to_five() -> Result<()> {
    operator::install()?;
    let cluster = ClusterUnderTest::start("e2e-scale", THREE_REPLICAS).await?;
    let (push, query) = (cluster.push_client().await?, cluster.query_client().await?);
    let load = Load::start("load", &push, 4, Duration::from_millis(20));
    load.progresses(50).await?;
    let scale = [
        "scale",
        "-n",
        &cluster.namespace,
        &format!("pyroscopecluster/{NAME}"),
        "--replicas=5",
    ];
    kubectl::must(&scale, "")?;
    cluster.ready().await?;
    ring_has(&cluster, 5, 640).await?;
    load.progresses(100).await?;
    let ledger = load.stop().await;
    ensure!(
        ledger.failed() == 0,
        "failed pushes: {:#?}",
        ledger.failures
    );
    ledger.check(&query).await?;

    let back = [
        "scale",
        "-n",
        &cluster.namespace,
        &format!("pyroscopecluster/{NAME}"),
        "--replicas=3",
    ];
    let refused = kubectl::run(&back, "")?;
    ensure!(!refused.success, "scaling down is refused in this version");
    println!("scale down: {}", refused.text.trim());
    cluster.end().await
}

#[tokio::test]
async fn deleting_the_cluster_leaves_nothing_but_what_the_policy_keeps() -> Result<()> {
    operator::install()?;
    for (namespace, policy, kept) in [("e2e-gone", "Delete", 0), ("e2e-kept", "Retain", 1)] {
        let spec = format!(
            "  replicationFactor: 1\n  ingester: {{replicas: 1, persistence: {{size: 1Gi, whenDeleted: {policy}}}}}\n  \
             distributor: {{replicas: 1}}\n  querier: {{replicas: 1}}\n"
        );
        let cluster = ClusterUnderTest::start(namespace, &spec).await?;
        kubectl::must(&["delete", "-n", namespace, "pyroscopecluster", NAME], "")?;
        wait::until("nothing is left", PATIENCE, async || {
            let left = leftovers(&cluster).await?;
            if left.is_empty() {
                Ok(())
            } else {
                Err(anyhow!("{left:?}"))
            }
        })
        .await?;
        wait::until("claims follow the policy", PATIENCE, async || {
            let claims = cluster.api::<PersistentVolumeClaim>();
            let left = claims.list(&ListParams::default()).await?.items.len();
            if left == kept {
                Ok(())
            } else {
                Err(anyhow!("{left} claims with {policy}"))
            }
        })
        .await?;
        cluster.end().await?;
    }
    Ok(())
}

/// Names what the operator made and is still there, claims aside.
async fn leftovers(cluster: &ClusterUnderTest) -> Result<Vec<String>> {
    let params = ListParams::default().labels("app.kubernetes.io/managed-by=pyroscope-operator");
    let mut left = Vec::new();
    macro_rules! collect {
        ($($kind:ty),*) => {$(
            let items = cluster.api::<$kind>().list(&params).await?.items;
            left.extend(items.into_iter().filter_map(|item| item.metadata.name));
        )*};
    }
    collect!(
        Service,
        StatefulSet,
        Deployment,
        ConfigMap,
        ServiceAccount,
        PodDisruptionBudget,
        Pod
    );
    Ok(left)
}

#[tokio::test]
async fn bad_specs_are_refused_with_a_readable_message() -> Result<()> {
    operator::install()?;
    let cluster = ClusterUnderTest::namespace("e2e-bad").await?;
    let cases = [
        ("  replicationFactor: 2\n", "must be 1, 3 or 5"),
        (
            "  replicationFactor: 3\n  ingester: {replicas: 2}\n",
            "must not exceed ingester.replicas",
        ),
        ("  replicationFactr: 3\n", "unknown field"),
        ("  ingester: {replicas: many}\n", "spec.ingester.replicas"),
        ("  ring: {heartbeat: soon}\n", "spec.ring.heartbeat"),
    ];
    for (spec, says) in cases {
        let text = cluster.refused(&manifest(spec))?;
        ensure!(text.contains(says), "{spec}: no {says:?} in\n{text}");
    }
    cluster.apply(&manifest(THREE_REPLICAS))?;
    let changed = THREE_REPLICAS.replace("replicationFactor: 3", "replicationFactor: 1");
    let text = cluster.refused(&manifest(&changed))?;
    ensure!(
        text.contains("replicationFactor cannot be changed"),
        "{text}"
    );
    cluster.end().await
}

#[tokio::test]
async fn explain_describes_every_field() -> Result<()> {
    operator::install()?;
    let text = kubectl::must(&["explain", "pyroscopecluster.spec", "--recursive"], "")?;
    for field in [
        "replicationFactor",
        "ingester",
        "distributor",
        "querier",
        "storage",
        "persistence",
    ] {
        ensure!(text.contains(field), "no {field} in\n{text}");
    }
    let text = kubectl::must(&["explain", "pyroscopecluster.spec.replicationFactor"], "")?;
    ensure!(
        text.contains("Number of ingesters that keep a copy of each profile"),
        "{text}"
    );
    Ok(())
}
