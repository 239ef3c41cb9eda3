//! Names of objects.

/// S3 takes no longer keys; the prefix counts.
const MOST_BYTES: usize = 1024;
/// File systems take no longer names.
const MOST_NAME_BYTES: usize = 255;

/// Checks a key, or the folder `a/b/` whose slash is left out; returns what is wrong with it.
///
/// A key is a path of names, so that it means the same in every store: in a directory it can
/// neither leave it nor be a folder and an object at once by an odd spelling.
pub(super) fn check(key: &str) -> Result<(), String> {
    if key.len() > MOST_BYTES {
        return Err(format!(
            "the key is {} bytes long; stores take {MOST_BYTES}",
            key.len()
        ));
    }
    for name in key.split('/') {
        if name.is_empty() {
            return Err("the key has an empty name between its slashes".to_owned());
        }
        if matches!(name, "." | "..") {
            return Err(format!("the key has {name:?} for a name"));
        }
        if name.len() > MOST_NAME_BYTES {
            return Err(format!(
                "a name of the key is {} bytes long; file systems take {MOST_NAME_BYTES}",
                name.len()
            ));
        }
        if name.contains(|c: char| c.is_control() || c == '\\') {
            return Err("the key has a control character or a backslash".to_owned());
        }
    }
    Ok(())
}

/// Joins a bucket's prefix and a key.
pub(super) fn join(prefix: &str, key: &str) -> String {
    match prefix {
        "" => key.to_owned(),
        _ => format!("{prefix}/{key}"),
    }
}

/// Returns a key without the bucket's prefix; `None` if it lies elsewhere.
pub(super) fn strip<'a>(prefix: &str, key: &'a str) -> Option<&'a str> {
    match prefix {
        "" => Some(key),
        _ => key.strip_prefix(prefix)?.strip_prefix('/'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_paths_of_names() {
        for good in [
            "a",
            "a/b.json",
            "tenant!-_.*'()/01J/meta.json",
            "...",
            "ä b",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let long = "a".repeat(256);
        let longer = ["a"; 600].join("/");
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../../b",
            "a/.",
            "a\\b",
            "a\0",
            "a\n",
            &long,
            &longer,
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn prefixes_come_and_go() {
        for prefix in ["", "p", "p/q"] {
            assert_eq!(strip(prefix, &join(prefix, "a/b")), Some("a/b"));
        }
        assert_eq!(strip("p", "pa/b"), None);
        assert_eq!(strip("p", "q/b"), None);
    }
}
