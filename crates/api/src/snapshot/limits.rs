//! The maximum depth and size of a snapshot.

/// The maximum number of levels of objects and lists. The request that holds the snapshot is one level deeper. Many
/// parsers allow only 128 levels; they can still read that request.
pub const MAX_DEPTH: usize = 126;

/// The maximum size in bytes of a snapshot, and of a spec as the API server stores it. The spec must fit into etcd
/// together with a status.
pub const MAX_BYTES: usize = 1024 * 1024;
