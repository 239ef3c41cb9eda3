//! The same stacks in every format of `/ingest` are the same profile, and no
//! input makes a parser panic, slow or large.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use pyroscope_profile::ingest::{
    Context, IngestError, Series, folded, jfr, speedscope, tree, trie,
};
use pyroscope_profile::pprof::Limits;
use pyroscope_profile::{CallSite, Tree};

fn context() -> Context {
    Context {
        name: "app.live".parse().unwrap(),
        spy_name: "spy".to_owned(),
        sample_rate: 100,
        start: 1,
        end: 2,
    }
}

type Parser = fn(&[u8], &Context, &Limits) -> Result<Vec<Series>, IngestError>;

fn recording(body: &[u8], context: &Context, limits: &Limits) -> Result<Vec<Series>, IngestError> {
    jfr::parse(body, body, context, limits)
}

const PARSERS: [Parser; 6] = [
    folded::groups,
    folded::lines,
    trie::parse,
    tree::parse,
    speedscope::parse,
    recording,
];

/// The bytes of the tree of all profiles: equal if the stacks are.
fn encoded(parser: Parser, body: &[u8]) -> Vec<u8> {
    let mut tree = Tree::default();
    for Series { profile, .. } in parser(body, &context(), &Limits::default()).unwrap() {
        tree.insert_profile(&profile, 0, &CallSite::default());
    }
    tree.encode()
}

type Stacks = BTreeMap<Vec<String>, u8>;

fn stacks() -> impl Strategy<Value = Stacks> {
    let stack = prop::collection::vec("[a-cé]{1,3}", 1..6);
    prop::collection::btree_map(stack, 1..9_u8, 0..20)
}

fn as_lines(stacks: &Stacks) -> String {
    let mut text = String::new();
    for (stack, count) in stacks {
        for _ in 0..*count {
            writeln!(text, "{}", stack.join(";")).unwrap();
        }
    }
    text
}

fn as_groups(stacks: &Stacks) -> String {
    let lines = stacks
        .iter()
        .map(|(stack, count)| format!("{} {count}\n", stack.join(";")));
    lines.collect()
}

fn node(name: &[u8], value: u8, children: usize) -> Vec<u8> {
    let number = |number: usize| {
        let mut bytes = Vec::new();
        prost::encoding::encode_varint(number as u64, &mut bytes);
        bytes
    };
    [
        &number(name.len()),
        name,
        &number(value.into()),
        &number(children),
    ]
    .concat()
}

/// A trie of texts that is split after each byte where texts differ.
fn as_trie(texts: &[(Vec<u8>, u8)], name: &[u8]) -> Vec<u8> {
    let value: u8 = texts
        .iter()
        .filter(|(text, _)| text.is_empty())
        .map(|(_, value)| value)
        .sum();
    let mut children: BTreeMap<u8, Vec<(Vec<u8>, u8)>> = BTreeMap::new();
    for (text, value) in texts {
        if let Some((first, rest)) = text.split_first() {
            children
                .entry(*first)
                .or_default()
                .push((rest.to_vec(), *value));
        }
    }
    let mut bytes = node(name, value, children.len());
    for (first, texts) in children {
        bytes.extend(as_trie(&texts, &[first]));
    }
    bytes
}

fn as_tree(stacks: &[(&[String], u8)], name: &str) -> Vec<u8> {
    let value: u8 = stacks
        .iter()
        .filter(|(stack, _)| stack.is_empty())
        .map(|(_, value)| value)
        .sum();
    let mut children: BTreeMap<&str, Vec<(&[String], u8)>> = BTreeMap::new();
    for (stack, value) in stacks {
        if let Some((first, rest)) = stack.split_first() {
            children.entry(first).or_default().push((rest, *value));
        }
    }
    let mut bytes = node(name.as_bytes(), value, children.len());
    for (name, stacks) in children {
        bytes.extend(as_tree(&stacks, name));
    }
    bytes
}

fn as_speedscope(stacks: &Stacks) -> String {
    let mut names: Vec<&String> = stacks.keys().flatten().collect();
    names.sort();
    names.dedup();
    let index = |name: &String| names.binary_search(&name).unwrap();
    let frames: Vec<_> = names
        .iter()
        .map(|name| serde_json::json!({"name": name}))
        .collect();
    let samples: Vec<Vec<usize>> = stacks
        .keys()
        .map(|stack| stack.iter().map(index).collect())
        .collect();
    serde_json::json!({
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "shared": {"frames": frames},
        "profiles": [{"type": "sampled", "name": "", "unit": "bytes",
            "samples": samples, "weights": stacks.values().collect::<Vec<_>>()}],
    })
    .to_string()
}

proptest! {
    #[test]
    fn every_format_says_the_same(stacks in stacks()) {
        let groups = encoded(folded::groups, as_groups(&stacks).as_bytes());
        prop_assert_eq!(&encoded(folded::lines, as_lines(&stacks).as_bytes()), &groups);
        let texts: Vec<_> = stacks
            .iter()
            .map(|(stack, count)| (stack.join(";").into_bytes(), *count))
            .collect();
        prop_assert_eq!(&encoded(trie::parse, &as_trie(&texts, b"")), &groups);
        let plain: Vec<_> = stacks.iter().map(|(stack, count)| (&stack[..], *count)).collect();
        prop_assert_eq!(&encoded(tree::parse, &as_tree(&plain, "")), &groups);
        prop_assert_eq!(&encoded(speedscope::parse, as_speedscope(&stacks).as_bytes()), &groups);
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for parser in PARSERS {
            let _ = parser(&body, &context(), &Limits::default());
        }
    }
}

#[test]
fn depth_is_no_recursion() {
    let deep = 200_000;
    let body = format!("{} 1", vec!["a"; deep].join(";"));
    assert_eq!(
        depth(&folded::groups(body.as_bytes(), &context(), &Limits::default()).unwrap()),
        1000
    );
    let mut chain: Vec<u8> = (0..deep).flat_map(|_| node(b"a", 0, 1)).collect();
    chain.extend(node(b"a", 1, 0));
    assert_eq!(
        depth(&tree::parse(&chain, &context(), &Limits::default()).unwrap()),
        1000
    );
    let mut chain: Vec<u8> = (0..deep).flat_map(|_| node(b"a;", 0, 1)).collect();
    chain.extend(node(b"a", 1, 0));
    assert_eq!(
        depth(&trie::parse(&chain, &context(), &Limits::default()).unwrap()),
        1000
    );
    let nested = [b"[".repeat(deep), b"]".repeat(deep)].concat();
    assert!(speedscope::parse(&nested, &context(), &Limits::default()).is_err());
}

fn depth(series: &[Series]) -> usize {
    series[0].profile.sample[0].location_id.len()
}

#[test]
fn absurd_numbers_are_refused() {
    let limits = Limits::default();
    for bytes in [
        // A name of 2^63 bytes, then 2^63 children.
        &b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f"[..],
        &b"\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f"[..],
        &b"\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..],
    ] {
        assert!(trie::parse(bytes, &context(), &limits).is_err());
        assert!(tree::parse(bytes, &context(), &limits).is_err());
    }
    // More different stacks than a profile may have.
    let many: String = (0..20_000).map(|number| format!("f{number} 1\n")).collect();
    let error = folded::groups(many.as_bytes(), &context(), &limits).unwrap_err();
    assert!(
        !error.is_malformed() && error.to_string().contains("limit: 16000"),
        "{error}"
    );
    let long = format!("{} 1", "x".repeat(5 << 20));
    let error = folded::groups(long.as_bytes(), &context(), &limits).unwrap_err();
    assert!(
        error.to_string().contains("exceeds limit of 4.2 MB"),
        "{error}"
    );
}
