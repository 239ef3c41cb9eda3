//! Collapsed stacks as text: `main;foo;bar 10`, or one stack a line.

use super::stacks::{ROOT, Rows, Stack, Stacks};
use super::{Column, Context, IngestError, Series};
use crate::pprof::Limits;

/// Parses lines that end in a count. Lines without one are ignored.
///
/// # Errors
/// A count that is no number, text that is not UTF-8, an unknown profile type,
/// or a profile beyond the limits.
pub fn groups(body: &[u8], context: &Context, limits: &Limits) -> Result<Vec<Series>, IngestError> {
    parse(body, context, limits, |number, line| {
        let Some((stack, count)) = line.rsplit_once(' ') else {
            return Ok(None);
        };
        let count = count.parse().map_err(|_| {
            let shown: String = count.chars().take(64).collect();
            IngestError::Malformed(format!(
                "line {number} ends in {shown:?}, which is no count of samples"
            ))
        })?;
        Ok(Some((stack, count)))
    })
}

/// Parses lines that are a stack each; every one counts once.
///
/// # Errors
/// As [`groups`].
pub fn lines(body: &[u8], context: &Context, limits: &Limits) -> Result<Vec<Series>, IngestError> {
    parse(body, context, limits, |_, line| Ok(Some((line, 1))))
}

fn parse(
    body: &[u8],
    context: &Context,
    limits: &Limits,
    split: impl Fn(usize, &str) -> Result<Option<(&str, u64)>, IngestError>,
) -> Result<Vec<Series>, IngestError> {
    let column = Column::of(context)?;
    let mut stacks = Stacks::new(limits);
    let mut rows = Rows::new(limits);
    for (number, line) in (1..).zip(body.split(|byte| *byte == b'\n')) {
        let line = std::str::from_utf8(line)
            .map_err(|_| IngestError::Malformed(format!("line {number} is not UTF-8")))?
            .trim_end();
        if line.is_empty() {
            continue;
        }
        if let Some((stack, count)) = split(number, line)? {
            let stack = insert(&mut stacks, stack)?;
            rows.add(stack, (), [column.scale(count), 0])?;
        }
    }
    context.series(&column, &stacks, &rows, limits)
}

/// Adds a stack of names between semicolons, root first.
fn insert(stacks: &mut Stacks, text: &str) -> Result<Stack, IngestError> {
    let mut stack = ROOT;
    for name in text.split(';').filter(|name| !name.is_empty()) {
        stack = stacks.call(stack, name)?;
    }
    Ok(stack)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, folded};
    use super::*;

    fn parsed(body: &str, name: &str) -> Result<Vec<String>, String> {
        let series = groups(body.as_bytes(), &context(name), &Limits::default());
        series
            .map(|series| folded(&series))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn counts_are_summed_by_stack() {
        assert_eq!(
            parsed(
                "a;b;c 1\r\n\na;b 2\na;b;c 3 \nnothing\nwith space;x y 4",
                "app.live"
            )
            .unwrap(),
            [
                "memory live:count a;b;c 4",
                "memory live:count a;b 2",
                "memory live:count with space;x y 4"
            ]
        );
        assert_eq!(parsed("", "app").unwrap(), [""; 0]);
        assert_eq!(parsed("a 0", "app").unwrap(), [""; 0]);
        assert_eq!(
            parsed("a 2", "app").unwrap(),
            ["process_cpu cpu:nanoseconds a 20000000"]
        );
    }

    #[test]
    fn what_is_no_count_is_refused() {
        for body in ["a ten", "a -1", "a 1.5", "a 99999999999999999999"] {
            let error = parsed(body, "app").unwrap_err();
            assert!(error.contains("line 1"), "{error}");
        }
        let error = groups(b"a\xff 1", &context("app"), &Limits::default()).unwrap_err();
        assert!(error.is_malformed(), "{error}");
        assert!(
            parsed("a 1", "my.app")
                .unwrap_err()
                .ends_with("unknown profile type: app")
        );
    }

    #[test]
    fn lines_count_once_each() {
        let series = lines(b"a;b\na;b\nc 5\n", &context("app.live"), &Limits::default()).unwrap();
        assert_eq!(
            folded(&series),
            ["memory live:count a;b 2", "memory live:count c 5 1"]
        );
    }
}
