//! Laws of normalising, splitting, merging and trees, on generated profiles.

#![allow(clippy::unwrap_used)]

mod owned;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proto::google::v1::{Function, Label, Line, Location, Mapping, Sample, ValueType};
use proto::querier::v1::FlameGraph;
use pyroscope_profile::pprof::{self, Limits};
use pyroscope_profile::{CallSite, Labels, PprofMerge, Profile, ProfileType, Tree};

/// Value by stack, root first.
type Stacks = BTreeMap<Vec<String>, i64>;

const STRINGS: [&str; 12] = [
    "",
    "cpu",
    "nanoseconds",
    "samples",
    "count",
    "env",
    "dev",
    "prod",
    "main",
    "foo",
    "bar",
    "foo",
];
const COLUMNS: usize = 2;

prop_compose! {
    fn location(functions: usize)(
        lines in prop::collection::vec(1..=functions as u64, 0..4),
        address in 0..50_u64,
    ) -> Location {
        let line = |function_id| Line { function_id: function_id * 7, line: 1 };
        Location {
            mapping_id: 3,
            address,
            line: lines.into_iter().map(line).collect(),
            ..Location::default()
        }
    }
}

prop_compose! {
    fn sample(locations: usize)(
        stack in prop::collection::vec(1..=locations as u64, 0..6),
        value in prop::collection::vec(prop_oneof![3 => Just(0_i64), 5 => 1..1000_i64], COLUMNS),
        labels in prop::collection::vec((5..8_i64, 5..8_i64), 0..3),
    ) -> Sample {
        let label = |(key, str)| Label { key, str, ..Label::default() };
        Sample {
            location_id: stack.into_iter().map(|id| id * 11).collect(),
            value,
            label: labels.into_iter().map(label).collect(),
        }
    }
}

/// A valid profile whose ids have gaps.
fn valid() -> impl Strategy<Value = Profile> {
    let names = prop::collection::vec(8..STRINGS.len() as i64, 1..6);
    let symbols = names.prop_flat_map(|names| {
        let locations = prop::collection::vec(location(names.len()), 1..8);
        (Just(names), locations)
    });
    let parts = symbols.prop_flat_map(|(names, locations)| {
        let samples = prop::collection::vec(sample(locations.len()), 0..20);
        (Just(names), Just(locations), samples)
    });
    parts.prop_map(|(names, locations, samples)| assemble(names, locations, samples))
}

fn assemble(names: Vec<i64>, locations: Vec<Location>, sample: Vec<Sample>) -> Profile {
    let function = |(at, name): (u64, i64)| Function {
        id: at * 7,
        name,
        ..Function::default()
    };
    let location = |(at, location): (u64, Location)| Location {
        id: at * 11,
        ..location
    };
    let value_type = |r#type, unit| ValueType { r#type, unit };
    Profile {
        string_table: STRINGS.map(String::from).into(),
        sample_type: vec![value_type(3, 4), value_type(1, 2)],
        period_type: Some(value_type(1, 2)),
        sample,
        mapping: vec![Mapping {
            id: 3,
            filename: 8,
            ..Mapping::default()
        }],
        location: (1..).zip(locations).map(location).collect(),
        function: (1..).zip(names).map(function).collect(),
        ..Profile::default()
    }
}

/// Resolves every sample by looking through the tables, the plain way.
fn stacks(profile: &Profile, column: usize) -> Stacks {
    let mut stacks = Stacks::new();
    for sample in profile.sample.iter().filter(|s| s.value[column] != 0) {
        *stacks.entry(stack(profile, sample)).or_default() += sample.value[column];
    }
    stacks
}

fn stack(profile: &Profile, sample: &Sample) -> Vec<String> {
    let mut names = Vec::new();
    for id in sample.location_id.iter().rev() {
        let location = profile.location.iter().find(|l| l.id == *id).unwrap();
        if location.line.is_empty() {
            names.push(format!("{:#x}", location.address));
        }
        for line in location.line.iter().rev() {
            let function = profile.function.iter().find(|f| f.id == line.function_id);
            names.push(profile.string_table[function.unwrap().name as usize].clone());
        }
    }
    names
}

fn add(into: &mut Stacks, from: Stacks) {
    for (stack, value) in from {
        *into.entry(stack).or_default() += value;
    }
}

fn tree_of(stacks: &Stacks) -> Tree {
    let mut tree = Tree::default();
    for (stack, value) in stacks {
        tree.insert(stack.iter().map(String::as_str), *value);
    }
    tree
}

fn tree_from(profile: &Profile, column: usize) -> Tree {
    let mut tree = Tree::default();
    tree.insert_profile(profile, column, &CallSite::default());
    tree
}

fn merged(trees: &[&Tree]) -> Vec<u8> {
    let mut all = Tree::default();
    trees.iter().for_each(|tree| all.merge(tree));
    all.encode()
}

fn some_stacks() -> impl Strategy<Value = Stacks> {
    let name = prop_oneof!["[a-d]", "[a-d]", Just("other".to_owned()), "\\PC{0,3}"];
    prop::collection::btree_map(prop::collection::vec(name, 0..6), 1..1000_i64, 0..25)
}

/// Start, end and self value of each node, by row.
fn rows(graph: &FlameGraph) -> Vec<Vec<(i64, i64, i64)>> {
    let row = |values: &[i64]| {
        let mut end = 0;
        let nodes = values.chunks(4).map(|node| {
            let start = end + node[0];
            end = start + node[1];
            (start, end, node[2])
        });
        nodes.collect()
    };
    graph
        .levels
        .iter()
        .map(|level| row(&level.values))
        .collect()
}

proptest! {
    #[test]
    fn normalising_keeps_every_stack(original in valid()) {
        let limits = Limits::default();
        owned::validate(&original, &limits).unwrap();
        let mut profile = original.clone();
        owned::normalise(&mut profile, &limits);
        owned::validate(&profile, &limits).unwrap();
        for column in 0..COLUMNS {
            prop_assert_eq!(stacks(&profile, column), stacks(&original, column));
        }
        let dense = |ids: Vec<u64>| (1..).zip(ids).all(|(want, id)| want == id);
        prop_assert!(dense(profile.location.iter().map(|l| l.id).collect()));
        prop_assert!(dense(profile.function.iter().map(|f| f.id).collect()));
        prop_assert!(dense(profile.mapping.iter().map(|m| m.id).collect()));
        let key = |s: &Sample| format!("{:?} {:?}", s.location_id, s.label);
        let keys: BTreeSet<String> = profile.sample.iter().map(key).collect();
        prop_assert_eq!(keys.len(), profile.sample.len());
        let mut again = profile.clone();
        owned::normalise(&mut again, &limits);
        prop_assert_eq!(again, profile);
    }

    #[test]
    fn splitting_and_merging_keep_every_stack(mut profile in valid(), normal: bool) {
        if normal {
            owned::normalise(&mut profile, &Limits::default());
        }
        let series = Labels::new([("__name__", "process_cpu"), ("env", "dev")]).unwrap();
        let parts = owned::split(&profile, &series);
        let names: BTreeSet<&Labels> = parts.iter().map(|(labels, _)| labels).collect();
        prop_assert_eq!(names.len(), parts.len());
        let types = ProfileType::of_columns("process_cpu", &profile);
        for (column, profile_type) in types.iter().enumerate() {
            let mut sum = Stacks::new();
            let mut merge = PprofMerge::new(profile_type);
            for (labels, part) in &parts {
                prop_assert_eq!(labels.get("env"), Some("dev"));
                owned::validate(part, &Limits::default()).unwrap();
                prop_assert!(part.sample.iter().all(|sample| sample.label.is_empty()));
                prop_assert_eq!(ProfileType::of_columns("process_cpu", part), types.clone());
                add(&mut sum, stacks(part, column));
                merge.add(part, column, &CallSite::default());
            }
            let want = stacks(&profile, column);
            prop_assert_eq!(&sum, &want);
            let merged = merge.finish();
            owned::validate(&merged, &Limits::default()).unwrap();
            prop_assert_eq!(stacks(&merged, 0), want);
        }
    }

    #[test]
    fn a_sample_goes_to_the_series_of_its_labels(profile in valid()) {
        let series = Labels::new([("__name__", "process_cpu")]).unwrap();
        let mut want: BTreeMap<Labels, Stacks> = BTreeMap::new();
        for sample in &profile.sample {
            let mut labels = series.clone();
            for label in sample.label.iter().rev() {
                let text = |at: i64| &profile.string_table[at as usize];
                labels = labels.with(text(label.key), text(label.str));
            }
            let stacks = want.entry(labels).or_default();
            *stacks.entry(stack(&profile, sample)).or_default() += sample.value[0];
        }
        let mut got: BTreeMap<Labels, Stacks> = BTreeMap::new();
        for (labels, part) in owned::split(&profile, &series) {
            got.insert(labels, stacks(&part, 0));
        }
        for stacks in want.values_mut() {
            stacks.retain(|_, value| *value != 0);
        }
        want.retain(|_, stacks| !stacks.is_empty());
        got.retain(|_, stacks| !stacks.is_empty());
        prop_assert_eq!(got, want);
    }

    #[test]
    fn depth_is_cut_at_the_leaf(profile in valid(), depth in 1..5_usize) {
        let mut cut = profile.clone();
        owned::normalise(&mut cut, &Limits { stack_depth: depth, ..Limits::default() });
        let all = stacks(&profile, 0);
        prop_assert_eq!(stacks(&cut, 0).values().sum::<i64>(), all.values().sum::<i64>());
        for stack in stacks(&cut, 0).keys() {
            prop_assert!(stack.len() <= depth);
            prop_assert!(all.keys().any(|whole| whole.starts_with(stack)), "{:?}", stack);
        }
    }

    #[test]
    fn call_sites_select_prefixes(profile in valid(), site in prop::collection::vec("main|foo|bar", 0..3)) {
        let under = |(stack, _): &(&Vec<String>, &i64)| stack.starts_with(&site);
        let call_site = CallSite::new(site.clone());
        let all = stacks(&profile, 1);
        let want: Stacks = all.iter().filter(under).map(|(s, v)| (s.clone(), *v)).collect();
        prop_assert_eq!(pprof::total(&profile, 1, &call_site), want.values().sum::<i64>());
        let mut tree = Tree::default();
        tree.insert_profile(&profile, 1, &call_site);
        prop_assert_eq!(tree.encode(), tree_of(&want).encode());
        let mut merge = PprofMerge::new(&ProfileType::of_columns("p", &profile)[1]);
        merge.add(&profile, 1, &call_site);
        prop_assert_eq!(stacks(&merge.finish(), 0), want);
    }

    #[test]
    fn trees_of_profiles_hold_their_stacks(profile in valid()) {
        for column in 0..COLUMNS {
            let tree = tree_from(&profile, column);
            prop_assert_eq!(tree.encode(), tree_of(&stacks(&profile, column)).encode());
            prop_assert_eq!(tree.total(), pprof::total(&profile, column, &CallSite::default()));
        }
    }

    #[test]
    fn merging_trees_is_commutative_and_associative(a in some_stacks(), b in some_stacks(), c in some_stacks()) {
        let (ta, tb, tc) = (tree_of(&a), tree_of(&b), tree_of(&c));
        prop_assert_eq!(merged(&[&ta, &tb]), merged(&[&tb, &ta]));
        let mut left = ta.clone();
        left.merge(&tb);
        let mut right = tb.clone();
        right.merge(&tc);
        prop_assert_eq!(merged(&[&left, &tc]), merged(&[&ta, &right]));
        let mut sum = a;
        add(&mut sum, b);
        add(&mut sum, c);
        prop_assert_eq!(merged(&[&tc, &ta, &tb]), tree_of(&sum).encode());
    }

    #[test]
    fn tree_bytes_round_trip(stacks in some_stacks()) {
        let tree = tree_of(&stacks);
        let back = Tree::decode(&tree.encode(), tree.node_count()).unwrap();
        prop_assert_eq!(back.encode(), tree.encode());
        prop_assert_eq!(back.total(), stacks.values().sum::<i64>());
        if tree.node_count() > 0 {
            prop_assert!(Tree::decode(&tree.encode(), tree.node_count() - 1).is_err());
        }
    }

    #[test]
    fn truncating_keeps_totals_and_bounds_nodes(stacks in some_stacks(), max_nodes in 0..30_usize) {
        let tree = tree_of(&stacks);
        let mut small = tree.clone();
        small.truncate(max_nodes);
        prop_assert_eq!(small.total(), tree.total());
        if tree.node_count() <= max_nodes {
            prop_assert_eq!(small.encode(), tree.encode());
        }
        // Each node kept, and the root, may have one `other`.
        prop_assert!(small.node_count() <= 2 * max_nodes + 1);
    }

    #[test]
    fn flame_graphs_nest_and_add_up(stacks in some_stacks(), max_nodes in 0..40_usize) {
        let tree = tree_of(&stacks);
        let graph = tree.to_flamegraph(max_nodes);
        prop_assert_eq!(graph.total, tree.total());
        let rows = rows(&graph);
        let own: i64 = rows.iter().flatten().map(|(_, _, own)| own).sum();
        prop_assert_eq!(own, tree.total());
        prop_assert_eq!(&rows[0][0].1, &tree.total());
        for row in rows.windows(2) {
            for (start, end, _) in &row[1] {
                let inside = row[0].iter().any(|(from, to, own)| from + own <= *start && end <= to);
                prop_assert!(inside, "{}..{} in {:?}", start, end, row[0]);
            }
        }
        for row in &rows {
            prop_assert!(row.windows(2).all(|pair| pair[0].1 <= pair[1].0));
        }
        let names = graph.names.len() as i64;
        let mut values = graph.levels.iter().flat_map(|level| level.values.chunks(4));
        prop_assert!(values.all(|node| (0..names).contains(&node[3])));
    }
}
