//! Messages and clients of every wire format the data plane speaks.
//!
//! The `.proto` files under `protos/` are the source; the Rust under
//! `src/gen/` is generated from them by `make gen` and committed, and
//! `tests/generated.rs` fails when it is stale. Messages that cross the HTTP
//! API also implement [`serde`] with the protobuf JSON mapping: lowerCamel
//! names, 64-bit integers as strings, unknown fields ignored.

#![allow(
    missing_debug_implementations,
    unreachable_pub,
    clippy::all,
    clippy::use_self,
    reason = "most of this crate is generated"
)]

/// What the Java agent sends beside its recordings.
pub mod agent {
    /// Version 1.
    pub mod v1 {
        include!("gen/agent.v1.rs");
    }
}

/// pprof profiles.
pub mod google {
    /// Version 1, the only one.
    pub mod v1 {
        include!("gen/google.v1.rs");
        include!("gen/google.v1.serde.rs");
    }
}

/// Types shared by the services.
pub mod types {
    /// Version 1.
    pub mod v1 {
        include!("gen/types.v1.rs");
        include!("gen/types.v1.serde.rs");
    }
}

/// Profiles of the OpenTelemetry protocol.
pub mod otlp {
    /// What its v1development has.
    pub mod v1 {
        include!("gen/otlp.v1.rs");
        include!("gen/otlp.v1.serde.rs");
    }
}

/// The push API.
pub mod push {
    /// Version 1.
    pub mod v1 {
        include!("gen/push.v1.rs");
        include!("gen/push.v1.serde.rs");
    }
}

/// The query API.
pub mod querier {
    /// Version 1.
    pub mod v1 {
        include!("gen/querier.v1.rs");
        include!("gen/querier.v1.serde.rs");
    }
}

/// The inner hop to ingesters, as far as it is shared with other
/// implementations.
pub mod ingester {
    /// Version 1.
    pub mod v1 {
        include!("gen/ingester.v1.rs");
        include!("gen/ingester.v1.serde.rs");
    }
}

/// What of a push was not stored and why.
pub mod rejection {
    /// Version 1.
    pub mod v1 {
        include!("gen/rejection.v1.rs");
        include!("gen/rejection.v1.serde.rs");

        impl prost::Name for Rejections {
            const NAME: &'static str = "Rejections";
            const PACKAGE: &'static str = "rejection.v1";
        }

        impl prost::Name for Refusals {
            const NAME: &'static str = "Refusals";
            const PACKAGE: &'static str = "rejection.v1";
        }
    }
}

/// Protocols around gRPC.
pub mod grpc {
    /// Health checks.
    pub mod health {
        /// Version 1.
        pub mod v1 {
            include!("gen/grpc.health.v1.rs");
            include!("gen/grpc.health.v1.serde.rs");
        }
    }
}

/// How queriers read profiles from their holders.
pub mod reader {
    /// Version 1.
    pub mod v1 {
        include!("gen/reader.v1.rs");
    }
}

/// The ring descriptor that instances gossip.
pub mod ring {
    include!("gen/ring.rs");
}

/// The gossiped key-value store.
pub mod memberlist {
    include!("gen/memberlist.rs");
}

/// The API versions that processes gossip.
pub mod version {
    /// Version 1.
    pub mod v1 {
        include!("gen/version.v1.rs");
    }
}
