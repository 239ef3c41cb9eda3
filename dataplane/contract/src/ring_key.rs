//! Names under which rings live in the key-value store.

/// Default of `-ring.prefix`: the prefix of every ring key.
pub const PREFIX: &str = "collectors/";

/// Name of the ingester ring, appended to the prefix.
pub const INGESTER: &str = "ring";

/// Key of the ingester ring with the default prefix.
pub const INGESTER_KEY: &str = "collectors/ring";

/// Name of the distributor ring, appended to the prefix.
pub const DISTRIBUTOR: &str = "distributor";
