//! Names that the JVM or a library makes up anew in each process: what differs
//! is left out, or no two processes would have a stack in common.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// Names longer than this are nothing that is made up.
const MAX_BYTES: usize = 1024;

/// Pattern and what a name that it matches becomes.
static RULES: LazyLock<[(Regex, &str); 5]> = LazyLock::new(|| {
    let temporary = |middle: &str| format!(r"^(?:\.?/tmp/)?{middle}(?: \(deleted\))?$");
    let rule = |pattern: &str| Regex::new(pattern).expect("the patterns are valid");
    [
        (
            rule(r"^(?<keep>jdk/internal/reflect/GeneratedMethodAccessor)[0-9]+$"),
            "${keep}_",
        ),
        (
            // Class$$Lambda$12.0x0000000800fd7318, Class$$Lambda.0x00007f12, Class$$Lambda$12/0x8f;
            // Class$$Lambda$9+0x00007f12/728739494 of OpenJDK itself
            rule(r"^(?<keep>.+\$\$Lambda)(?:\$?[0-9]*[./+](?:0x)?[0-9a-f]+(?:/[0-9]+)?|[0-9]+)$"),
            "${keep}_",
        ),
        (
            rule(&temporary(r"libzstd-jni-[0-9]+\.[0-9]+\.[0-9]+-[0-9]+\.so")),
            "libzstd-jni-_.so",
        ),
        (
            rule(&temporary(
                r"(?:lib)?amazonCorrettoCryptoProvider(?:NativeLibraries\.)?[0-9a-f]{16}(?:/libcrypto|/libamazonCorrettoCryptoProvider)?\.so",
            )),
            "libamazonCorrettoCryptoProvider_.so",
        ),
        (
            rule(&temporary(
                r"libasyncProfiler-(?:linux-arm64|linux-musl-x64|linux-x64|macos)-[0-9a-f]{40}\.so",
            )),
            "libasyncProfiler-_.so",
        ),
    ]
});

/// Returns a symbol without what differs between processes.
pub(super) fn merged(symbol: Cow<'_, str>) -> Cow<'_, str> {
    let made_up = symbol.contains("Lambda")
        || symbol.contains("GeneratedMethodAccessor")
        || symbol.contains(".so");
    if !made_up || symbol.len() > MAX_BYTES {
        return symbol;
    }
    match RULES.iter().find(|(rule, _)| rule.is_match(&symbol)) {
        Some((rule, becomes)) => rule.replace(&symbol, *becomes).into_owned().into(),
        None => symbol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_made_up_by_a_process_are_one() {
        for (symbol, want) in [
            ("java/lang/Thread", "java/lang/Thread"),
            ("org/a/B$$Lambda$669.0x0000000800fd7318", "org/a/B$$Lambda_"),
            ("Fib$$Lambda.0x00007ffa600c4da0", "Fib$$Lambda_"),
            ("Fib$$Lambda$1/0x0000", "Fib$$Lambda_"),
            ("Fib$$Lambda$9+0x00007fd7/728739494", "Fib$$Lambda_"),
            ("Fib$$Lambda", "Fib$$Lambda"),
            (
                "jdk/internal/reflect/GeneratedMethodAccessor31",
                "jdk/internal/reflect/GeneratedMethodAccessor_",
            ),
            (
                "libzstd-jni-1.5.1-16931311898282279136.so",
                "libzstd-jni-_.so",
            ),
            (
                "/tmp/libamazonCorrettoCryptoProvider109b39cf33c563eb.so (deleted)",
                "libamazonCorrettoCryptoProvider_.so",
            ),
            (
                "./tmp/libasyncProfiler-linux-x64-17b9a1d8156277a98ccc871afa9a8f69215f92ab.so",
                "libasyncProfiler-_.so",
            ),
            ("libc.so.6", "libc.so.6"),
        ] {
            assert_eq!(merged(symbol.into()), want);
        }
    }
}
