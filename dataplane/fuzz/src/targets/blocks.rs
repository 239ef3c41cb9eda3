//! Blocks whose bytes are not what a writer wrote, although every checksum says so.

use std::ops::Range;
use std::path::Path;
use std::sync::{LazyLock, Once};

use parquet::file::metadata::ParquetMetaDataReader;
use proto::reader::v1::{MergeRequest, SelectRequest};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use store::block::{Block, Limits, Memory, Meta};

const NAME: &str = "00000000000000000000000001";
const META: &str = "meta.json";

const LIMITS: Limits = Limits {
    bytes: 4 << 20,
    values: 1 << 18,
};

/// A block that is whole.
static WHOLE: LazyLock<Memory> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/tests/blocks");
    Memory::read(folder.join(NAME)).expect("the block can be read")
});

/// Changes a block, six bytes of input a change: in which file, where, to what. Then
/// it may be refused, and may answer anything, but returns.
pub(crate) fn check(data: &[u8]) {
    if cfg!(feature = "libfuzzer") {
        // The fuzzer's hook ends the process before a panic can be caught, as those of
        // the Parquet library are. One that is not caught is found all the same.
        static HOOK: Once = Once::new();
        HOOK.call_once(|| drop(std::panic::take_hook()));
    }
    let _ = Meta::decode(NAME, data);
    let mut files = WHOLE.clone();
    let names: Vec<String> = files
        .0
        .keys()
        .filter(|name| *name != META)
        .cloned()
        .collect();
    for [file, a, b, c, d, to] in data.as_chunks().0 {
        let name = &names[usize::from(*file) % names.len()];
        let bytes = files.0.get_mut(name).expect("the name is one of them");
        let mut changed = bytes.to_vec();
        let at = u32::from_le_bytes([*a, *b, *c, *d]) as usize % bytes.len();
        changed[at] = *to;
        *bytes = changed.into();
    }
    seal(&mut files);
    let Ok(block) = Block::open(NAME, files, LIMITS) else {
        return;
    };
    let _ = block.verify();
    let select = SelectRequest {
        profile_type: "process_cpu:cpu:nanoseconds:cpu:nanoseconds".to_owned(),
        label_selector: "{}".to_owned(),
        start: i64::MIN,
        end: i64::MAX,
        call_site: vec!["main".to_owned()],
        ..SelectRequest::default()
    };
    if let Ok(named) = block.select(&select) {
        let _ = block.merge(&MergeRequest {
            keys: named.keys,
            select: Some(select),
            ..MergeRequest::default()
        });
    }
}

/// Makes every checksum that of what there is.
fn seal(files: &mut Memory) {
    let mut meta: Value = serde_json::from_slice(&WHOLE.0[META]).expect("it is JSON");
    for of in meta["files"].as_array_mut().into_iter().flatten() {
        let name = of["name"].as_str().expect("a file has a name").to_owned();
        let bytes = files.0.get_mut(&name).expect("the block has what it lists");
        let mut sealed = bytes.to_vec();
        seal_chunks(&WHOLE.0[&name], &mut sealed);
        let footer = of["footer_length"].as_u64().expect("a footer has a length") as usize;
        of["footer_crc32"] = json!(crc32fast::hash(&sealed[sealed.len() - footer..]));
        of["sha256"] = json!(sha256(&sealed));
        *bytes = sealed.into();
    }
    meta["sha256"] = json!("0".repeat(64));
    let text = serde_json::to_string(&meta).expect("it was JSON");
    meta["sha256"] = json!(sha256(text.as_bytes()));
    let text = serde_json::to_string(&meta).expect("it was JSON");
    files.0.insert(META.to_owned(), text.into());
}

/// Writes the checksums of column chunks, of which the footer has a list, anew.
fn seal_chunks(whole: &[u8], bytes: &mut [u8]) {
    let end = whole.len() - 8;
    let footer = u32::from_le_bytes([whole[end], whole[end + 1], whole[end + 2], whole[end + 3]]);
    let metadata = &whole[end - footer as usize..end];
    let metadata = ParquetMetaDataReader::decode_metadata(metadata).expect("it is whole");
    let groups = metadata.row_groups().iter();
    let chunks = groups.flat_map(|group| group.columns()).map(|column| {
        let (start, len) = column.byte_range();
        start as usize..(start + len) as usize
    });
    let chunks: Vec<Range<usize>> = chunks.collect();
    let list = |bytes: &[u8]| -> String {
        let checksums = chunks
            .iter()
            .map(|chunk| crc32fast::hash(&bytes[chunk.clone()]));
        checksums
            .map(|checksum| format!("{checksum:08x}"))
            .collect()
    };
    let (was, is) = (list(whole), list(bytes));
    let mut places = whole.windows(was.len().max(1));
    if let Some(at) = places.position(|place| place == was.as_bytes()) {
        bytes[at..at + is.len()].copy_from_slice(is.as_bytes());
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Changes here and there, and the `meta.json`.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut state = 1_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    let mut seeds = vec![WHOLE.0[META].to_vec()];
    for count in [1, 1, 1, 1, 2, 2, 3, 8] {
        seeds.extend((0..20).map(|_| (0..6 * count).map(|_| random()).collect()));
    }
    seeds
}
