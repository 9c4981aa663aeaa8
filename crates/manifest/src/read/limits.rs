//! Bounds of what is read. Each is far above what the API server takes.

/// The largest file, and the largest standard input, in bytes.
pub const LARGEST_FILE: usize = 32 * 1024 * 1024;

/// How many bytes the files of one run may have together.
pub const LARGEST_INPUT: usize = 128 * 1024 * 1024;

/// The largest document, in bytes. The API server takes requests of 3 MiB.
pub const LARGEST_DOCUMENT: usize = 4 * 1024 * 1024;

/// How many documents one run may have.
pub const MAX_DOCUMENTS: usize = 10_000;

/// How many values one document may have once its aliases are written out.
pub const MAX_VALUES: usize = 500_000;

/// How many bytes the texts of one document may have once its aliases are written out.
pub const MAX_TEXT: usize = 2 * LARGEST_DOCUMENT;

/// How many levels of objects and lists one document may have. A snapshot may have 126, and lies three levels deep in a list.
pub const DEEPEST: usize = 160;

/// How many warnings about one document are kept.
pub const MAX_WARNINGS: usize = 20;

/// How many files and folders of one folder are looked at.
pub const MAX_FILES: usize = 10_000;
