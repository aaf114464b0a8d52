//! What a schema may hold, and what it may cost to hold a value against it.

/// Depth of JSON in a schema. Twenty objects inside of each other need about forty levels.
pub const SCHEMA_DEPTH_MAX: usize = 64;
/// JSON values of one schema. Large tools in the wild have some hundreds.
pub const SCHEMA_VALUES_MAX: usize = 10_000;
/// Bytes of names and texts in one schema.
pub const SCHEMA_TEXT_BYTES_MAX: usize = 256 * 1024;
/// Subschemas of one schema: each is compiled.
pub const SUBSCHEMAS_MAX: usize = 3_000;
/// References of one schema.
pub const REFERENCES_MAX: usize = 1_000;
/// References and combinators in a row that are held against the same value.
pub const IN_PLACE_DEPTH_MAX: usize = 32;
/// Subschemas that are held against the same value, each counted as often as a way leads to it. Diamonds double this.
pub const EXPANSIONS_MAX: u64 = 5_000;
/// The same below `unevaluatedProperties` and `unevaluatedItems`, which look at all of it again.
pub const UNEVALUATED_EXPANSIONS_MAX: u64 = 200;
/// Bytes of one pattern.
pub const PATTERN_BYTES_MAX: usize = 1_000;
/// Bytes of one compiled pattern: `\p{L}{1,50}` is one of the largest that are in use.
pub const PATTERN_COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// JSON values of all schemas of a document: an agent, a server's list.
pub const DOCUMENT_VALUES_MAX: usize = 50_000;
/// Bytes of names and texts of all schemas of a document.
pub const DOCUMENT_TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Patterns of all schemas of a document, each counted once a schema.
pub const DOCUMENT_PATTERNS_MAX: usize = 100;
/// Bytes of all compiled patterns of a document.
pub const DOCUMENT_PATTERN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Steps of holding a value against a schema. A step takes some 50 ns.
pub const EVALUATION_STEPS_MAX: u64 = 500_000;
/// Steps up to which the faults of a value are listed. Listing holds all of them in memory.
pub const LISTING_STEPS_MAX: u64 = 50_000;
/// Subschemas on the way to the innermost one: this bounds the stack.
pub const EVALUATION_LEVELS_MAX: u32 = 400;
/// Characters of the text of one fault.
pub const FAULT_CHARS_MAX: usize = 300;
