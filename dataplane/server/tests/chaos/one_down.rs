//! Three copies and one node at a time that is not well: no push fails, and no
//! read fails or is wrong.

use std::time::Duration;

use rand::RngExt as _;

use crate::{
    assert_clean,
    cluster::{Cluster, Shape},
    fault::Fault,
    iterations,
    ledger::{
        Fate, Ledger,
        endpoints::Endpoints,
        load::{Load, Plan},
        read::{Readers, verify, verify_ingester},
    },
    random, seed,
};

const SHAPE: Shape = Shape {
    ingesters: 3,
    distributors: 2,
    queriers: 2,
    replication: 3,
    links: true,
    flags: &[],
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_unwell_ingester_fails_no_push_and_no_read() {
    let seed = seed("one unwell ingester");
    let mut random = random(seed);
    let mut test = Test::start(seed).await;
    for fault in Fault::each(iterations(0) > 0) {
        test.endure(fault, random.random_range(0..3)).await;
    }
    // One of them takes as long as many crashes.
    for _ in 0..iterations(0).div_ceil(10) {
        let fault = Fault::random(&mut random);
        test.endure(fault, random.random_range(0..3)).await;
    }
    test.check_ingesters("the last fault").await;
    test.finish("one unwell ingester").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_and_restarts_of_one_after_the_other_are_not_noticed() {
    let seed = seed("one after the other");
    let mut random = random(seed);
    let mut test = Test::start(seed).await;
    for round in 0..iterations(10).div_ceil(10) {
        let first = random.random_range(0..3);
        let away = Duration::from_millis(random.random_range(0..500));
        for victim in [first, (first + 1) % 3] {
            test.endure(Fault::Crash { away }, victim).await;
        }
        for victim in 0..3 {
            test.endure(Fault::Restart, victim).await;
        }
        if round == 0 {
            test.add_stateless().await;
        }
        test.lose_stateless(round % 3).await;
    }
    test.finish("one after the other").await;
}

/// A cluster under load.
struct Test {
    seed: u64,
    cluster: Cluster,
    ledger: std::sync::Arc<Ledger>,
    pushers: Endpoints,
    queriers: Endpoints,
    load: Load,
    readers: Readers,
}

impl Test {
    async fn start(seed: u64) -> Self {
        let cluster = Cluster::start(SHAPE).await;
        let ledger = Ledger::new("app", 12);
        let (pushers, queriers) = (cluster.pushers(), cluster.readers());
        Self {
            seed,
            load: Load::start(&ledger, &pushers, Plan::default(), seed),
            readers: Readers::start(&ledger, &queriers, 2, seed),
            cluster,
            ledger,
            pushers,
            queriers,
        }
    }

    async fn endure(&mut self, fault: Fault, victim: usize) {
        println!("  {:.2?}: {fault:?} of {victim}", self.ledger.elapsed());
        self.load.flows(5).await;
        fault.happen(&mut self.cluster, victim).await;
        let after = format!("{fault:?} of ingester {victim}");
        self.check(&after).await;
        if iterations(0) > 0 {
            self.check_ingesters(&after).await;
        }
    }

    async fn check(&self, after: &str) {
        self.load.flows(5).await;
        for endpoint in self.queriers.up() {
            verify(&self.ledger, &endpoint.url).await;
        }
        assert_clean(&self.ledger, &self.cluster, self.seed, after);
    }

    /// Waits until each ingester has everything: what it missed was handed off.
    async fn check_ingesters(&self, after: &str) {
        for node in &self.cluster.ingesters {
            verify_ingester(&self.ledger, &node.http).await;
        }
        assert_clean(&self.ledger, &self.cluster, self.seed, after);
    }

    /// Adds a distributor and a querier.
    async fn add_stateless(&mut self) {
        println!("  {:.2?}: scale up", self.ledger.elapsed());
        let distributor = self.cluster.add_distributor();
        distributor.ready().await;
        self.pushers.add(&distributor.http);
        let querier = self.cluster.add_querier();
        querier.ready().await;
        self.queriers.add(&querier.http);
        self.check("one distributor and querier more").await;
    }

    /// Kills a distributor and a querier, which come back.
    async fn lose_stateless(&mut self, number: usize) {
        println!("  {:.2?}: loss of the stateless", self.ledger.elapsed());
        let down = (self.pushers.down(number), self.queriers.down(number));
        self.cluster.distributors[number].crash();
        self.cluster.queriers[number].crash();
        self.check("the loss of a distributor and a querier").await;
        self.cluster.distributors[number].restart();
        self.cluster.queriers[number].restart();
        self.cluster.settled().await;
        drop(down);
    }

    async fn finish(self, test: &str) {
        let slowest = self.load.stop().await;
        let seen = self.readers.stop().await;
        for endpoint in self.queriers.up() {
            verify(&self.ledger, &endpoint.url).await;
        }
        assert_clean(
            &self.ledger,
            &self.cluster,
            self.seed,
            "the end of the load",
        );
        println!(
            "{test}: {} acknowledged, {} unknown, slowest push {slowest:?}, {seen:?}",
            self.ledger.count(Fate::Acknowledged),
            self.ledger.count(Fate::Unknown)
        );
    }
}
