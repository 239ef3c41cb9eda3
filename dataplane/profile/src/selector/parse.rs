use super::{MAX_BYTES, MAX_MATCHERS, MatchOp, Matcher, Selector, SelectorError};
use crate::labels;

/// Parses a selector with an optional metric name in front: `cpu{a="b"}`.
pub(super) fn selector(text: &str) -> Result<Selector, SelectorError> {
    selector_at(text, 0)
}

/// Parses a selector that begins at an offset of a longer text.
pub(super) fn selector_at(text: &str, offset: usize) -> Result<Selector, SelectorError> {
    if text.len() > MAX_BYTES {
        return Err(SelectorError::TooLong);
    }
    let mut parser = Parser {
        text,
        at: 0,
        offset,
    };
    let selector = parser.selector()?;
    parser.skip_space();
    match parser.peek() {
        None => Ok(selector),
        Some(c) => Err(parser.error(format!("unexpected {c:?} after the selector"))),
    }
}

/// Tells whether a label name needs no quotes.
pub(super) fn is_label_name(name: &str) -> bool {
    let body = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    body && !name.is_empty() && !name.as_bytes()[0].is_ascii_digit()
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    /// Where `text` begins in what the client sent.
    offset: usize,
}

impl<'t> Parser<'t> {
    fn selector(&mut self) -> Result<Selector, SelectorError> {
        let mut matchers = Vec::new();
        self.skip_space();
        let metric = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
        if metric.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.error("a metric name does not start with a digit"));
        }
        if !metric.is_empty() {
            matchers.push(Matcher::new(labels::NAME, MatchOp::Equal, metric)?);
        }
        self.skip_space();
        if self.peek().is_none() && !matchers.is_empty() {
            return Ok(Selector { matchers });
        }
        self.expect('{')?;
        loop {
            self.skip_space();
            if self.eat("}") {
                return Ok(Selector { matchers });
            }
            if matchers.len() == MAX_MATCHERS {
                return Err(SelectorError::TooLong);
            }
            matchers.push(self.matcher()?);
            self.skip_space();
            if !self.eat(",") {
                self.expect('}')?;
                return Ok(Selector { matchers });
            }
        }
    }

    fn matcher(&mut self) -> Result<Matcher, SelectorError> {
        let quoted = matches!(self.peek(), Some('"' | '\'' | '`'));
        let name = match quoted {
            true => self.string()?,
            false => self.label_name()?.to_owned(),
        };
        self.skip_space();
        let op = match self.op() {
            Some(op) => op,
            // A quoted string alone is a metric name.
            None if quoted => return Matcher::new(labels::NAME, MatchOp::Equal, &name),
            None => return Err(self.error("expected one of =, !=, =~, !~")),
        };
        if name.is_empty() {
            return Err(self.error("a label name is not empty"));
        }
        self.skip_space();
        let value = self.string()?;
        Matcher::new(&name, op, &value)
    }

    fn label_name(&mut self) -> Result<&'t str, SelectorError> {
        let from = self.at;
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_label_name(name) {
            return Ok(name);
        }
        self.at = from;
        Err(match self.peek() {
            Some(c) => self.error(format!("expected a label name, found {c:?}")),
            None => self.error("expected a label name or }, found the end"),
        })
    }

    fn op(&mut self) -> Option<MatchOp> {
        let ops = [
            ("=~", MatchOp::Regex),
            ("!~", MatchOp::NotRegex),
            ("!=", MatchOp::NotEqual),
            ("=", MatchOp::Equal),
        ];
        let (_, op) = ops.into_iter().find(|(text, _)| self.eat(text))?;
        Some(op)
    }

    /// Parses a string in double, single or back quotes.
    fn string(&mut self) -> Result<String, SelectorError> {
        let open = self.at;
        let quote = match self.next() {
            Some(quote @ ('"' | '\'' | '`')) => quote,
            _ => {
                self.at = open;
                return Err(self.error("expected a quoted string"));
            }
        };
        let mut bytes = Vec::new();
        loop {
            match self.next() {
                Some(c) if c == quote => break,
                Some('\\') if quote != '`' => self.escape(quote, &mut bytes)?,
                Some('\n') if quote != '`' => {
                    return Err(self.error("a line break in quotes is written \\n"));
                }
                Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                None => {
                    self.at = open;
                    return Err(self.error("the quoted string has no end"));
                }
            }
        }
        String::from_utf8(bytes).map_err(|_| {
            self.at = open;
            self.error("the quoted string is not UTF-8")
        })
    }

    /// Parses what follows a backslash, as Go does.
    fn escape(&mut self, quote: char, bytes: &mut Vec<u8>) -> Result<(), SelectorError> {
        let simple = match self.next() {
            Some('a') => 0x07,
            Some('b') => 0x08,
            Some('f') => 0x0c,
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('v') => 0x0b,
            Some('\\') => b'\\',
            Some(c) if c == quote => quote as u8,
            Some('x') => self.digits(2, 16)? as u8,
            Some(c) if c.is_digit(8) => {
                self.at -= 1;
                let value = self.digits(3, 8)?;
                u8::try_from(value).map_err(|_| self.error("an octal escape is at most \\377"))?
            }
            Some(c @ ('u' | 'U')) => {
                let value = self.digits(if c == 'u' { 4 } else { 8 }, 16)?;
                let c = char::from_u32(value).ok_or_else(|| self.error("no such character"))?;
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(self.error("unknown escape")),
        };
        bytes.push(simple);
        Ok(())
    }

    /// Parses exactly `count` digits; eight hexadecimal ones fit.
    fn digits(&mut self, count: usize, radix: u32) -> Result<u32, SelectorError> {
        let mut value = 0;
        for _ in 0..count {
            let digit = self.next().and_then(|c| c.to_digit(radix));
            let digit = digit.ok_or_else(|| self.error("incomplete escape"))?;
            value = value * radix + digit;
        }
        Ok(value)
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'t str {
        let rest = &self.text[self.at..];
        let len = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn skip_space(&mut self) {
        self.take_while(|c| c.is_ascii_whitespace());
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.text[self.at..].starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, c: char) -> Result<(), SelectorError> {
        if self.eat(c.encode_utf8(&mut [0; 4])) {
            return Ok(());
        }
        Err(match self.peek() {
            Some(found) => self.error(format!("expected {c:?}, found {found:?}")),
            None => self.error(format!("expected {c:?}, found the end")),
        })
    }

    fn error(&self, problem: impl Into<String>) -> SelectorError {
        SelectorError::Syntax {
            at: self.offset + self.at,
            problem: problem.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> String {
        selector(text).unwrap().to_string()
    }

    #[test]
    fn every_form_parses() {
        for (text, want) in [
            ("{}", "{}"),
            (" { } ", "{}"),
            ("process_cpu", r#"{__name__="process_cpu"}"#),
            ("process_cpu{}", r#"{__name__="process_cpu"}"#),
            (r#"a:b {x="y",}"#, r#"{__name__="a:b",x="y"}"#),
            (r#"{"process_cpu"}"#, r#"{__name__="process_cpu"}"#),
            (r#"{"a b" = 'c"d'}"#, r#"{"a b"="c\"d"}"#),
            (r#"{a=~"b",c!~"d" , e!="f"}"#, r#"{a=~"b",c!~"d",e!="f"}"#),
            (r"{a=`\d\n`}", r#"{a="\\d\\n"}"#),
            (
                r#"{a="\x41\102\u00e9\U0001F600\t\\\""}"#,
                "{a=\"ABé😀\\t\\\\\\\"\"}",
            ),
            (r#"{a='\xc3\xa9\''}"#, r#"{a="é'"}"#),
        ] {
            assert_eq!(canonical(text), want, "{text}");
        }
    }

    #[test]
    fn errors_say_where() {
        for (text, want) in [
            ("", "at byte 0: expected '{', found the end"),
            ("{", "at byte 1: expected a label name or }, found the end"),
            ("{a", "at byte 2: expected one of =, !=, =~, !~"),
            ("{a=b}", "at byte 3: expected a quoted string"),
            (r#"{a="b"#, "at byte 3: the quoted string has no end"),
            (r#"{a="b" c="d"}"#, "at byte 7: expected '}', found 'c'"),
            (
                r#"{a="b"}x"#,
                "at byte 7: unexpected 'x' after the selector",
            ),
            (r#"{,}"#, "at byte 1: expected a label name, found ','"),
            (r#"{1a="b"}"#, "at byte 1: expected a label name, found '1'"),
            (r#"{""="b"}"#, "at byte 4: a label name is not empty"),
            (r#"{a="\q"}"#, "at byte 6: unknown escape"),
            (r#"{a="\xff"}"#, "at byte 3: the quoted string is not UTF-8"),
            (r#"{a="\ud800"}"#, "at byte 10: no such character"),
            (
                r#"{a="\400"}"#,
                "at byte 8: an octal escape is at most \\377",
            ),
            (
                "{a=\"\n\"}",
                "at byte 5: a line break in quotes is written \\n",
            ),
            (
                "9a{}",
                "at byte 2: a metric name does not start with a digit",
            ),
        ] {
            let error = selector(text).unwrap_err().to_string();
            assert_eq!(error, format!("invalid selector {want}"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = selector(&text);
            let _ = text.parse::<super::super::Query>();
        }

        #[test]
        fn no_near_selector_panics(text in r#"[a-c:]{0,2}\{([a"'`\\xuU0-9={},!~\n é]){0,24}"#) {
            let _ = selector(&text);
            let _ = text.parse::<super::super::Query>();
        }

        #[test]
        fn display_round_trips(pairs in prop::collection::vec((".{1,4}", 0..2_usize, ".{0,6}"), 0..5)) {
            let ops = [MatchOp::Equal, MatchOp::NotEqual];
            let want = pairs.iter().try_fold(Selector::default(), |all, (name, op, value)| {
                Matcher::new(name, ops[*op], value).map(|matcher| all.with(matcher))
            }).unwrap();
            let back = selector(&want.to_string()).unwrap();
            prop_assert_eq!(back.matchers(), want.matchers());
        }
    }
}
