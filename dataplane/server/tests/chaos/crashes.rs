//! SIGKILL at random moments, of one node or of all at once, under load.

use std::time::Duration;

use rand::{RngExt as _, seq::SliceRandom as _};

use crate::{
    assert_clean,
    cluster::{Cluster, Shape},
    iterations,
    ledger::{
        Fate, Ledger,
        load::{Load, Plan},
        read::{Readers, verify},
    },
    random, seed,
};

/// Crashes after which a new cluster is begun: each has to read back all that
/// the ones before have left.
const CRASHES_PER_CLUSTER: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_lose_nothing_acknowledged_with_one_copy() {
    crash_again_and_again("one copy", 1, iterations(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_lose_nothing_acknowledged_with_three_copies() {
    crash_again_and_again("three copies", 3, iterations(2)).await;
}

async fn crash_again_and_again(test: &str, replication: usize, crashes: usize) {
    let mut left = crashes;
    let mut cluster_seed = seed(test);
    let mut acknowledged = 0;
    while left > 0 {
        let now = left.min(CRASHES_PER_CLUSTER);
        acknowledged += crash(replication, now, cluster_seed).await;
        left -= now;
        cluster_seed += 1;
    }
    println!("{test}: {crashes} crashes, {acknowledged} profiles acknowledged and read");
}

/// Crashes the nodes of one cluster so often; returns how many profiles were
/// acknowledged.
async fn crash(replication: usize, crashes: usize, seed: u64) -> usize {
    let mut random = random(seed);
    let mut cluster = Cluster::start(Shape::monolithic(3, replication)).await;
    let ledger = Ledger::new("crash", 8);
    let endpoints = cluster.pushers();
    let plan = Plan {
        clients: 3,
        ..Plan::default()
    };
    let load = Load::start(&ledger, &endpoints, plan, seed);
    let readers = Readers::start(&ledger, &endpoints, 1, seed);
    for crash in 0..crashes {
        load.flows(1).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..200))).await;
        // The first is of all nodes, so that a brief run has both kinds.
        let all = crash == 0 || random.random_bool(0.5);
        let mut victims = match all {
            true => vec![0, 1, 2],
            false => vec![random.random_range(0..3)],
        };
        victims.shuffle(&mut random);
        let excuse = (all || replication == 1).then(|| ledger.excuse_all());
        let mut down: Vec<_> = victims
            .iter()
            .map(|&number| Some(endpoints.down(number)))
            .collect();
        cluster.crash(&victims);
        if random.random_bool(0.5) {
            cluster.restart(&victims);
        } else {
            // The first to be back is asked while it is the only one.
            for (&number, down) in victims.iter().zip(&mut down) {
                cluster.restart(&[number]);
                drop(down.take());
            }
        }
        drop(down);
        for &number in &victims {
            cluster.ingesters[number].ready().await;
        }
        if all || replication == 1 {
            cluster.settled().await;
        }
        drop(excuse);
        let asked = random.random_range(0..3);
        verify(
            &ledger,
            &format!("http://{}", cluster.ingesters[asked].http),
        )
        .await;
        let after = format!("crash {crash} of {victims:?}");
        assert_clean(&ledger, &cluster, seed, &after);
    }
    load.stop().await;
    let seen = readers.stop().await;
    for node in &cluster.ingesters {
        verify(&ledger, &format!("http://{}", node.http)).await;
    }
    assert_clean(&ledger, &cluster, seed, "the last crash");
    println!(
        "  seed {seed}: {} acknowledged, {} unknown, {seen:?}",
        ledger.count(Fate::Acknowledged),
        ledger.count(Fate::Unknown)
    );
    ledger.count(Fate::Acknowledged)
}
