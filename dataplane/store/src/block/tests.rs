//! What is written is read, whatever it is.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use profile::{Labels, ProfileType};
use proptest::prelude::*;
use proto::reader::v1::{MergeRequest, SelectRequest};
use ulid::Ulid;

use super::profiles::Row;
use super::rows::RowGroups;
use super::series::{Column, MAX_COLUMNS, Source};
use super::symbols::stack_from_file;
use super::union::Union;
use super::writer::BlockWriter;
use super::{Block, BlockError, Description, Directory, Files, Limits, Meta};
use crate::head::{EMPTY_STACK, Function, Location, Mapping, NO_MAPPING, Node, SymbolView};

fn description() -> Description {
    Description {
        id: Ulid(5),
        tenant: "a/b \u{1f980}".to_owned(),
        level: 3,
        parents: vec![Ulid(1), Ulid(2)],
        replication_epoch: 7,
        creator: "test".to_owned(),
    }
}

fn open(root: &Path, meta: &Meta) -> Block {
    let files = Directory::new(root.join(meta.id()));
    let block = Block::open(meta.id(), files, Limits::default()).unwrap();
    block.verify().unwrap();
    block
}

/// Everything of a table of symbols, in its order.
fn listed(symbols: &SymbolView) -> [String; 4] {
    let strings: Vec<_> = symbols.strings.iter().collect();
    let functions: Vec<_> = symbols.functions.iter().collect();
    let mappings: Vec<_> = symbols.mappings.iter().collect();
    let locations: Vec<_> = symbols.locations.iter().collect();
    let nodes: Vec<_> = symbols.nodes.iter().collect();
    let others = format!("{functions:?} {mappings:?}");
    [
        format!("{strings:?}"),
        others,
        format!("{locations:?}"),
        format!("{nodes:?}"),
    ]
}

fn rows(block: &Block) -> Vec<Row> {
    let groups = RowGroups::of(block).unwrap();
    let columns = |source: usize| block.sources[source].source.columns.len();
    let most = (0..block.sources.len()).map(columns).max().unwrap();
    let mut rows = Vec::new();
    let all = 0..block.meta().statistics.profiles;
    for span in groups.spans(std::iter::once(all)) {
        let names = groups.names(&span).unwrap().names;
        let sources = groups.sources(&span).unwrap();
        let (stacks, values) = groups
            .samples(&span, &(0..most).collect::<Vec<_>>())
            .unwrap();
        for (at, (timestamp, id)) in names.into_iter().enumerate() {
            let source = sources[at] as usize;
            let stacks = stacks.0.get(at).iter();
            rows.push(Row {
                source,
                timestamp,
                id,
                stacks: stacks.map(|stack| stack_from_file(*stack)).collect(),
                columns: values[..columns(source)]
                    .iter()
                    .map(|v| v.of(at).collect())
                    .collect(),
            });
        }
    }
    rows
}

fn write(root: &Path, symbols: &SymbolView, sources: &[Source], rows: &[Row]) -> Meta {
    let mut writer = BlockWriter::create(root, description(), symbols, sources.to_vec()).unwrap();
    rows.iter().for_each(|row| writer.push(row).unwrap());
    writer.finish().unwrap()
}

fn text() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![any::<String>(), "[a-c]{0,3}".prop_map(String::from)].prop_map(Arc::from)
}

/// Symbols of which some are not referred to and some are there twice.
fn symbols() -> impl Strategy<Value = SymbolView> {
    let strings = prop::collection::vec(text(), 1..8);
    let functions = prop::collection::vec((any::<[u8; 3]>(), any::<i64>()), 1..6);
    let mappings = prop::collection::vec(
        (any::<[u64; 3]>(), any::<[u8; 2]>(), any::<[bool; 4]>()),
        1..4,
    );
    let lines = prop::collection::vec((any::<u8>(), any::<i64>()), 0..4);
    let locations = prop::collection::vec((any::<u8>(), any::<u64>(), lines, any::<bool>()), 1..8);
    let nodes = prop::collection::vec((any::<u8>(), any::<u8>()), 1..20);
    (strings, functions, mappings, locations, nodes).prop_map(
        |(strings, functions, mappings, locations, nodes)| {
            let string = |at: u8| u32::from(at) % strings.len() as u32;
            let functions: Vec<Function> = functions
                .iter()
                .map(|([name, system_name, filename], start_line)| Function {
                    name: string(*name),
                    system_name: string(*system_name),
                    filename: string(*filename),
                    start_line: *start_line,
                })
                .collect();
            let mappings: Vec<Mapping> = mappings
                .iter()
                .map(
                    |([start, limit, offset], [filename, build_id], flags)| Mapping {
                        start: *start,
                        limit: *limit,
                        offset: *offset,
                        filename: string(*filename),
                        build_id: string(*build_id),
                        has_functions: flags[0],
                        has_filenames: flags[1],
                        has_line_numbers: flags[2],
                        has_inline_frames: flags[3],
                    },
                )
                .collect();
            let locations: Vec<Arc<Location>> = locations
                .iter()
                .map(|(mapping, address, lines, is_folded)| {
                    let mapping = u32::from(*mapping) % (mappings.len() as u32 + 1);
                    let lines = lines.iter();
                    Arc::new(Location {
                        mapping: if mapping == 0 {
                            NO_MAPPING
                        } else {
                            mapping - 1
                        },
                        address: *address,
                        lines: lines
                            .map(|(at, line)| (u32::from(*at) % functions.len() as u32, *line))
                            .collect(),
                        is_folded: *is_folded,
                    })
                })
                .collect();
            let nodes = nodes
                .iter()
                .zip(0_u32..)
                .map(|((parent, location), at)| Node {
                    parent: (u32::from(*parent) % (at + 1))
                        .checked_sub(1)
                        .unwrap_or(EMPTY_STACK),
                    location: u32::from(*location) % locations.len() as u32,
                });
            let nodes: Vec<Node> = nodes.collect();
            SymbolView {
                strings: strings.into(),
                functions: functions.into(),
                mappings: mappings.into(),
                locations: locations.into(),
                nodes: nodes.into(),
            }
        },
    )
}

fn sources() -> impl Strategy<Value = Vec<Source>> {
    let labels = prop::collection::btree_map("[a-z_]{1,4}|\\PC{1,3}", "\\PC{1,5}", 0..4);
    let column = (labels, "[a-c]{1,3}", any::<bool>());
    let source = prop::collection::vec(column, 1..=MAX_COLUMNS);
    prop::collection::btree_set(
        source.prop_map(|columns| {
            let column =
                |(labels, name, is_cumulative): (BTreeMap<String, String>, String, bool)| {
                    let labels = Labels::new(labels).unwrap();
                    let profile_type = ProfileType {
                        name: "any".to_owned(),
                        sample_type: name,
                        sample_unit: "count".to_owned(),
                        ..ProfileType::default()
                    };
                    let labels = labels.with("__name__", "any");
                    let labels = profile_type.series_labels(&labels);
                    Column::new(labels, profile_type, is_cumulative)
                };
            Source {
                columns: columns.into_iter().map(column).collect(),
            }
        }),
        1..4,
    )
    .prop_map(|sources| sources.into_iter().collect())
}

/// Samples of a profile: stacks, and values that the columns are made of.
type Samples = Vec<(u8, [i64; 3])>;

fn profiles() -> impl Strategy<Value = Vec<(u8, i64, [u8; 16], Samples)>> {
    let value = prop_oneof![0..3_i64, 0..i64::MAX, Just(i64::MAX)];
    let samples = prop::collection::vec((any::<u8>(), prop::array::uniform3(value)), 0..12);
    prop::collection::vec(
        (any::<u8>(), any::<i64>(), any::<[u8; 16]>(), samples),
        0..20,
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").map_or(24, |cases| cases.parse().unwrap()),
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_written_is_read_and_the_same_makes_the_same_bytes(
        symbols in symbols(),
        sources in sources(),
        profiles in profiles(),
    ) {
        let used = (0..symbols.nodes.len() as u32).filter(|stack| stack % 3 != 1);
        let mut union = Union::default();
        let mut moved = [union.add(&symbols, used)];
        let united = union.finish(&mut moved);
        let count = sources.len();
        // Each source has a profile at least.
        let one_each = (0..count).map(|at| (at as u8, 0, [0; 16], Vec::new()));
        let profiles = one_each.chain(profiles).map(|(source, timestamp, id, samples)| {
            let source = source as usize % count;
            let stacks = symbols.nodes.len() as u32 + 1;
            let moved_stack = |at: u8| moved[0].stack((u32::from(at) % stacks).wrapping_sub(1));
            let columns = sources[source].columns.len();
            let mut row = Row {
                source,
                timestamp,
                id,
                stacks: samples.iter().map(|(stack, _)| moved_stack(*stack)).collect(),
                columns: (0..columns)
                    .map(|column| samples.iter().map(|(_, values)| values[column % 3]).collect())
                    .collect(),
            };
            row.move_stacks(|stack| stack);
            (row.order(), row)
        });
        let rows_in: Vec<Row> = profiles.collect::<BTreeMap<_, _>>().into_values().collect();
        let temp = tempfile::tempdir().unwrap();
        let meta = write(&temp.path().join("a"), &united, &sources, &rows_in);
        let block = open(&temp.path().join("a"), &meta);
        prop_assert_eq!(listed(&block.symbols().unwrap()), listed(&united));
        let placed: Vec<&Source> = block.sources.iter().map(|placed| &placed.source).collect();
        prop_assert_eq!(placed, sources.iter().collect::<Vec<_>>());
        prop_assert_eq!(rows(&block), rows_in.clone());
        prop_assert_eq!(write(&temp.path().join("b"), &united, &sources, &rows_in), meta);
    }
}

fn one_source() -> Vec<Source> {
    let profile_type = ProfileType {
        name: "any".to_owned(),
        sample_type: "count".to_owned(),
        sample_unit: "count".to_owned(),
        ..ProfileType::default()
    };
    let labels = Labels::new([("__name__", "any"), ("service_name", "a")]).unwrap();
    let labels = profile_type.series_labels(&labels);
    vec![Source {
        columns: vec![Column::new(labels, profile_type, false)],
    }]
}

fn row(timestamp: i64) -> Row {
    Row {
        timestamp,
        stacks: vec![EMPTY_STACK],
        columns: vec![vec![timestamp]],
        ..Row::default()
    }
}

fn no_symbols() -> SymbolView {
    Union::default().finish(&mut [])
}

/// So that more than one row group is met, of which a query reads one.
#[test]
fn row_groups_follow_each_other_and_are_read_alone() {
    let temp = tempfile::tempdir().unwrap();
    let rows_in: Vec<Row> = (0..2000).map(row).collect();
    let meta = write(temp.path(), &no_symbols(), &one_source(), &rows_in);
    let block = open(temp.path(), &meta);
    assert_eq!(rows(&block), rows_in);
    let groups = RowGroups::of(&block).unwrap();
    let spans = groups.spans([1500..1600, 20..21, 30..31]);
    let within: Vec<_> = spans.iter().map(|span| (span.first, span.rows)).collect();
    assert_eq!(within, [(20, 11), (1500, 36), (1536, 64)]);
    let before = block.bytes_read();
    let names = groups.names(&spans[1]).unwrap();
    assert_eq!(names.names[3], (1503, [0; 16]));
    let read = block.bytes_read() - before;
    assert!(
        read < meta.file("profiles.parquet").unwrap().length / 4,
        "{read} bytes"
    );
}

/// Counts how often a directory is read.
#[derive(Clone, Debug)]
struct Counted(Directory, Arc<AtomicUsize>);

impl Files for Counted {
    fn length(&self, file: &str) -> io::Result<u64> {
        self.0.length(file)
    }

    fn read(&self, file: &str, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.read(file, ranges)
    }
}

/// In a bucket each call takes its time, whatever it reads.
#[test]
fn row_groups_of_a_query_are_read_together() {
    let temp = tempfile::tempdir().unwrap();
    let rows_in: Vec<Row> = (0..3000).map(row).collect();
    let meta = write(temp.path(), &no_symbols(), &one_source(), &rows_in);
    let files = Counted(Directory::new(temp.path().join(meta.id())), Arc::default());
    let block = Block::open_known(meta, files.clone(), Limits::default()).unwrap();
    let reads = || files.1.swap(0, Ordering::Relaxed);
    assert_eq!(reads(), 1, "series");
    let select = SelectRequest {
        profile_type: "any:count:count::".to_owned(),
        label_selector: "{}".to_owned(),
        start: 10,
        end: 2500,
        ..SelectRequest::default()
    };
    let named = block.select(&select).unwrap();
    assert_eq!(named.totals, (10..=2500).collect::<Vec<_>>());
    assert_eq!(reads(), 3, "footer, names, totals");
    let merged = block.merge(&MergeRequest {
        keys: named.keys,
        select: Some(select),
        ..MergeRequest::default()
    });
    assert_eq!(merged.unwrap().missing.len(), 0);
    assert_eq!(reads(), 2 + 5, "names, samples, symbols");
}

#[test]
fn a_block_that_was_not_finished_is_not_there() {
    let temp = tempfile::tempdir().unwrap();
    let begin = || {
        let mut writer =
            BlockWriter::create(temp.path(), description(), &no_symbols(), one_source()).unwrap();
        writer.push(&row(1)).unwrap();
        writer
    };
    // As a crash leaves it: what the directory has is not known under the block's name.
    std::mem::forget(begin());
    let names = || {
        let entries = std::fs::read_dir(temp.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name())
            .collect::<Vec<_>>()
    };
    let id = description().id.to_string();
    assert_eq!(names(), [format!("{id}.tmp").as_str()]);
    let meta = begin().finish().unwrap();
    assert_eq!(names(), [id.as_str()]);
    open(temp.path(), &meta);
    let again = BlockWriter::create(temp.path(), description(), &no_symbols(), one_source());
    assert!(matches!(again.err(), Some(BlockError::Refused { .. })));
    std::fs::remove_dir_all(temp.path().join(&id)).unwrap();
    drop(begin());
    assert!(names().is_empty(), "what is given up is removed");
}

#[test]
fn profiles_that_make_no_block_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    let create = || BlockWriter::create(temp.path(), description(), &no_symbols(), one_source());
    let mut writer = create().unwrap();
    writer.push(&row(2)).unwrap();
    for wrong in [
        row(2),
        row(1),
        Row {
            columns: Vec::new(),
            ..row(3)
        },
        Row {
            source: 1,
            ..row(3)
        },
    ] {
        let error = writer.push(&wrong).unwrap_err();
        assert!(matches!(error, BlockError::Refused { .. }), "{error}");
    }
    drop(writer);
    let error = create().unwrap().finish().unwrap_err();
    assert!(error.to_string().contains("no profiles"), "{error}");
}
