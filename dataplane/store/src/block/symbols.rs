//! The files of strings, functions, mappings, locations and stacks.

mod read;
mod write;

pub(crate) use read::read;
pub(crate) use write::write;

use super::error::Fault;

pub(crate) const STRINGS: &str = "strings.parquet";
pub(crate) const FUNCTIONS: &str = "functions.parquet";
pub(crate) const MAPPINGS: &str = "mappings.parquet";
pub(crate) const LOCATIONS: &str = "locations.parquet";
pub(crate) const STACKS: &str = "stacks.parquet";

const STRINGS_SCHEMA: &str = "message strings {
    required int32 id;
    required binary text (STRING);
}";

const FUNCTIONS_SCHEMA: &str = "message functions {
    required int32 id;
    required int32 name;
    required int32 system_name;
    required int32 filename;
    required int64 start_line;
}";

const MAPPINGS_SCHEMA: &str = "message mappings {
    required int32 id;
    required int64 memory_start (INTEGER(64, false));
    required int64 memory_limit (INTEGER(64, false));
    required int64 file_offset (INTEGER(64, false));
    required int32 filename;
    required int32 build_id;
    required boolean has_functions;
    required boolean has_filenames;
    required boolean has_line_numbers;
    required boolean has_inline_frames;
}";

const LOCATIONS_SCHEMA: &str = "message locations {
    required int32 id;
    optional int32 mapping;
    required int64 address (INTEGER(64, false));
    required boolean is_folded;
    required group lines (LIST) {
        repeated group list {
            required group element {
                required int32 function;
                required int64 line;
            }
        }
    }
}";

const STACKS_SCHEMA: &str = "message stacks {
    required int32 id;
    optional int32 parent;
    optional int32 location;
}";

const FLAGS: [&str; 4] = [
    "has_functions",
    "has_filenames",
    "has_line_numbers",
    "has_inline_frames",
];

/// The stack of no frames, which is the parent of roots. In memory ids are less by
/// one, so that this one is [`EMPTY_STACK`](crate::head::EMPTY_STACK).
const EMPTY: i32 = 0;

/// Returns the id in files of a stack.
pub(crate) fn stack_to_file(id: u32) -> i32 {
    id.wrapping_add(1) as i32
}

/// Returns the stack of an id in files.
pub(crate) fn stack_from_file(id: i32) -> u32 {
    (id as u32).wrapping_sub(1)
}

/// A file and what is wrong with it.
pub(crate) type NamedFault = (&'static str, Fault);
