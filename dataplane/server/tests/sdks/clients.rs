//! What is found of each client's program, whether it runs or its requests are
//! sent again.

#![allow(dead_code, reason = "each test binary uses a part")]

use serde_json::json;

use crate::{
    flame_graph,
    harness::{Node, now_ms},
};

/// A client and the program that it profiles, one of `e2e/sdks`.
#[derive(Debug)]
pub(crate) struct Client {
    /// Name of the service, too.
    pub(crate) name: &'static str,
    pub(crate) finds: &'static [Find],
}

/// A function that has most of what a profile type says of a program.
#[derive(Debug)]
pub(crate) struct Find {
    /// The fixture of the request that brings it.
    pub(crate) fixture: &'static str,
    pub(crate) profile_type: &'static str,
    /// Labels that select it beside the service: tags of the client, labels of a part of the program.
    pub(crate) labels: &'static str,
    /// Its name, or a part of it where clients add file and line.
    pub(crate) function: &'static str,
    /// Least part of the total, from 0 to 1.
    pub(crate) share: f64,
}

impl Client {
    /// Returns the names of the client's fixtures.
    pub(crate) fn fixtures(&self) -> Vec<&'static str> {
        let mut fixtures: Vec<_> = self.finds.iter().map(|find| find.fixture).collect();
        fixtures.dedup();
        fixtures
    }

    /// Looks for what a fixture brings, or for everything.
    ///
    /// # Errors
    /// What was not found, and what there is instead.
    pub(crate) async fn look(
        &self,
        node: &Node,
        since_ms: i64,
        fixture: Option<&str>,
    ) -> Result<(), String> {
        let finds = self.finds.iter();
        for find in finds.filter(|find| fixture.is_none_or(|fixture| fixture == find.fixture)) {
            find.look(node, self.name, since_ms).await?;
        }
        Ok(())
    }
}

impl Find {
    async fn look(&self, node: &Node, service: &str, since_ms: i64) -> Result<(), String> {
        let selector = format!("{{service_name=\"{service}\",{}}}", self.labels);
        let range = json!({"start": since_ms.to_string(), "end": (now_ms() + 60_000).to_string()});
        let mut query = range.clone();
        query["profileTypeID"] = json!(self.profile_type);
        query["labelSelector"] = json!(selector);
        let answer = node.query("SelectMergeStacktraces", &query).await;
        let graph = &answer["flamegraph"];
        let share = flame_graph::share(graph, self.function);
        let mut query = range;
        query["matchers"] = json!([selector]);
        query["labelNames"] = json!(["service_name"]);
        let series = node.query("Series", &query).await;
        let listed = json!([{"labels": [{"name": "service_name", "value": service}]}]);
        if share >= self.share && series["labelsSet"] == listed {
            return Ok(());
        }
        Err(format!(
            "{self:?} has {share:.3} of {} among {}; series: {series}",
            graph["total"], graph["names"]
        ))
    }
}

pub(crate) const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";

pub(crate) const PYROSCOPE_GO: Client = Client {
    name: "pyroscope-go",
    finds: &[
        Find {
            fixture: "pyroscope-go.cpu",
            profile_type: CPU,
            labels: "region=\"eu-north\",phase=\"spin\"",
            function: "main.spinTheProcessor",
            share: 0.5,
        },
        Find {
            fixture: "pyroscope-go.memory",
            profile_type: "memory:alloc_space:bytes:space:bytes",
            labels: "region=\"eu-north\"",
            function: "main.litterTheHeap",
            share: 0.3,
        },
        Find {
            fixture: "pyroscope-go.memory",
            profile_type: "memory:inuse_space:bytes:space:bytes",
            labels: "region=\"eu-north\"",
            function: "main.hoardMemory",
            share: 0.7,
        },
        Find {
            fixture: "pyroscope-go.goroutines",
            profile_type: "goroutines:goroutine:count:goroutine:count",
            labels: "region=\"eu-north\"",
            function: "main.parkedGoroutine",
            share: 0.9,
        },
        Find {
            fixture: "pyroscope-go.mutex",
            profile_type: "mutex:delay:nanoseconds:contentions:count",
            labels: "region=\"eu-north\"",
            function: "main.holdTheLock",
            share: 0.7,
        },
        Find {
            fixture: "pyroscope-go.block",
            profile_type: "block:contentions:count:contentions:count",
            labels: "region=\"eu-north\"",
            function: "main.waitForEach",
            share: 0.1,
        },
    ],
};

pub(crate) const PYROSCOPE_IO: Client = Client {
    name: "pyroscope-io",
    finds: &[Find {
        fixture: "pyroscope-io",
        profile_type: CPU,
        labels: "region=\"eu-north\",phase=\"square\"",
        function: "sum_of_squares",
        share: 0.7,
    }],
};

pub(crate) const PYROSCOPE_NODEJS: Client = Client {
    name: "pyroscope-nodejs",
    finds: &[
        Find {
            fixture: "pyroscope-nodejs.wall",
            profile_type: "wall:cpu:nanoseconds:wall:nanoseconds",
            labels: "region=\"eu-north\",phase=\"spin\"",
            function: "spinTheLoop",
            share: 0.8,
        },
        Find {
            fixture: "pyroscope-nodejs.memory",
            profile_type: "memory:inuse_space:bytes:inuse_space:bytes",
            labels: "region=\"eu-north\"",
            function: "hoardArrays",
            share: 0.5,
        },
    ],
};

pub(crate) const PYROSCOPE_RS: Client = Client {
    name: "pyroscope-rs",
    finds: &[Find {
        fixture: "pyroscope-rs",
        profile_type: CPU,
        labels: "region=\"eu-north\",phase=\"spin\"",
        function: "spin_the_processor",
        share: 0.8,
    }],
};

pub(crate) const PYROSCOPE_API: Client = Client {
    name: "pyroscope-api",
    finds: &[
        checksums("pyroscope-api.connect-json", "protocol=\"connect-json\""),
        checksums("pyroscope-api.connect-proto", "protocol=\"connect-proto\""),
        checksums("pyroscope-api.grpc", "protocol=\"grpc\""),
        checksums("pyroscope-api.grpc-web", "protocol=\"grpc-web\""),
    ],
};

pub(crate) const PYROSCOPE_JAVA: Client = Client {
    name: "pyroscope-java",
    finds: &[
        Find {
            fixture: "pyroscope-java",
            profile_type: CPU,
            labels: "region=\"eu-north\",phase=\"spin\"",
            function: "Busy.spinTheMachine",
            share: 0.7,
        },
        Find {
            fixture: "pyroscope-java",
            profile_type: "memory:alloc_in_new_tlab_bytes:bytes:space:bytes",
            labels: "region=\"eu-north\"",
            function: "Busy.litterTheHeap",
            share: 0.7,
        },
        Find {
            fixture: "pyroscope-java",
            profile_type: "mutex:delay:nanoseconds:mutex:count",
            labels: "region=\"eu-north\"",
            function: "Busy.holdTheMonitor",
            share: 0.7,
        },
    ],
};

pub(crate) const OPENTELEMETRY: Client = Client {
    name: "opentelemetry",
    finds: &[
        numbers("opentelemetry.grpc", "transport=\"grpc\""),
        numbers("opentelemetry.http-json", "transport=\"http-json\""),
        numbers("opentelemetry.http-protobuf", "transport=\"http-protobuf\""),
    ],
};

const fn checksums(fixture: &'static str, labels: &'static str) -> Find {
    Find {
        fixture,
        profile_type: CPU,
        labels,
        function: "main.computeChecksums",
        share: 0.9,
    }
}

const fn numbers(fixture: &'static str, labels: &'static str) -> Find {
    Find {
        fixture,
        profile_type: CPU,
        labels,
        function: "main.multiplyNumbers",
        share: 0.9,
    }
}
