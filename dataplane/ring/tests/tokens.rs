//! Choosing tokens, and the file that keeps them.

use std::collections::BTreeSet;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use pyroscope_ring::token::{self, MAX_TOKENS, TokensFileError};

proptest! {
    #[test]
    fn generated_tokens_are_new_distinct_and_ascending(
        count in 0..200_usize,
        taken in btree_set(0..300_u32, 0..100),
        numbers in vec(0..300_u32, 1..20),
    ) {
        let mut numbers = numbers.into_iter().cycle();
        let tokens = token::generate(count, &taken, &mut || numbers.next().unwrap());
        prop_assert_eq!(tokens.len(), count);
        prop_assert!(tokens.is_sorted_by(|a, b| a < b));
        prop_assert!(tokens.iter().all(|token| !taken.contains(token)));
    }

    #[test]
    fn files_return_what_was_written(tokens in btree_set(any::<u32>(), 0..600)) {
        let tokens: Vec<u32> = tokens.into_iter().collect();
        let content = token::render_file(&tokens);
        prop_assert_eq!(token::parse_file(content.as_bytes()).unwrap(), tokens);
    }

    #[test]
    fn any_content_is_read_without_panic(content in vec(any::<u8>(), 0..64)) {
        let _ = token::parse_file(&content);
    }
}

#[test]
fn a_source_of_one_number_still_ends() {
    let taken = BTreeSet::from([u32::MAX]);
    let tokens = token::generate(3, &taken, &mut || u32::MAX);
    assert_eq!(tokens, [0, 1, 2]);
}

#[test]
fn files_are_those_of_dskit() {
    assert_eq!(
        token::render_file(&[1, 4_294_967_295]),
        r#"{"tokens":[1,4294967295]}"#
    );
    assert_eq!(
        token::parse_file(br#"{ "tokens": [3, 1, 2] }"#).unwrap(),
        [1, 2, 3]
    );
}

#[test]
fn damaged_files_are_refused_by_name() {
    let refused = |content: &str| token::parse_file(content.as_bytes()).unwrap_err();
    for content in [
        "",
        "{}",
        "[1]",
        r#"{"tokens":[-1]}"#,
        r#"{"tokens":[4294967296]}"#,
        r#"{"tokens":["1"]}"#,
    ] {
        let error = refused(content);
        assert!(
            matches!(error, TokensFileError::Json(_)),
            "{content}: {error}"
        );
        assert!(
            error
                .to_string()
                .starts_with("tokens file is not JSON of the form"),
            "{error}"
        );
    }
    let twice = refused(r#"{"tokens":[5,1,5]}"#);
    assert_eq!(
        twice.to_string(),
        "tokens file lists token 5 more than once"
    );
    let many = vec![0; MAX_TOKENS + 1];
    let many = refused(&token::render_file(&many));
    assert!(matches!(many, TokensFileError::TooMany(65_537)), "{many}");
}
