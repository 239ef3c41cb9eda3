//! Quoting as Go does it.

use std::fmt;

/// Writes text as Go's `strconv.Quote` does.
pub(crate) fn write_quoted(f: &mut impl fmt::Write, text: &str) -> fmt::Result {
    f.write_char('"')?;
    let mut plain_from = 0;
    for (at, c) in text.char_indices() {
        if matches!(c, ' '..='~') && c != '"' && c != '\\' || !c.is_ascii() && is_printable(c) {
            continue;
        }
        f.write_str(&text[plain_from..at])?;
        plain_from = at + c.len_utf8();
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\x07' => f.write_str("\\a")?,
            '\x08' => f.write_str("\\b")?,
            '\x0c' => f.write_str("\\f")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\x0b' => f.write_str("\\v")?,
            c if c.is_ascii() => write!(f, "\\x{:02x}", u32::from(c))?,
            c if u32::from(c) < 0x1_0000 => write!(f, "\\u{:04x}", u32::from(c))?,
            c => write!(f, "\\U{:08x}", u32::from(c))?,
        }
    }
    f.write_str(&text[plain_from..])?;
    f.write_char('"')
}

/// Tells whether a non-ASCII character is a letter, mark, number, punctuation or
/// symbol, which are the categories that both Go and Rust print unescaped.
fn is_printable(c: char) -> bool {
    // After a first character, `str::escape_debug` escapes just what is not
    // printable; alone or first it would escape combining marks too.
    let mut text = String::with_capacity(5);
    text.push('a');
    text.push(c);
    text.escape_debug().nth(1) != Some('\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values are the output of Go's strconv.Quote.
    #[test]
    fn quoting_is_that_of_go() {
        let cases = [
            (
                "\x07\x08\x0c\n\r\t\x0b\x00\x1f\x7f",
                r#""\a\b\f\n\r\t\v\x00\x1f\x7f""#,
            ),
            ("grün 日本", "\"grün 日本\""),
            ("a\u{a0}b\u{200b}", r#""a\u00a0b\u200b""#),
            ("e\u{301}\u{301}", "\"e\u{301}\u{301}\""),
            ("\u{301}", "\"\u{301}\""),
            ("\u{e0001}'😀", r#""\U000e0001'😀""#),
        ];
        for (text, want) in cases {
            let mut got = String::new();
            write_quoted(&mut got, text).unwrap();
            assert_eq!(got, want);
        }
    }
}
