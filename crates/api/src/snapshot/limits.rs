//! How deep and how large a snapshot may be.

/// The largest number of levels of objects and lists. The request that holds the snapshot is one level deeper. Many parsers
/// allow only 128 levels, and can read it nevertheless.
pub const DEEPEST: usize = 126;

/// The largest number of bytes of a snapshot, and of a spec as the API server stores it: it must fit into etcd together with a
/// status.
pub const LARGEST: usize = 1024 * 1024;
