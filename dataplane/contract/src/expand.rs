//! Replaces environment variables in the text of a configuration file.

use crate::error::Error;

/// Replaces `${VAR}` by the value of the variable, or by nothing when it is not set, and
/// `${VAR:default}` and `${VAR:-default}` by the default when it is not set or empty.
/// `$${` stands for the characters `${`.
///
/// Fails when a `${` has no end.
pub(crate) fn expand(
    text: &str,
    file: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Error> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if let Some(before) = rest[..start].strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        expanded.push_str(&rest[..start]);
        let reference = &rest[start + 2..];
        let Some(end) = reference.find('}') else {
            return Err(open_variable(text, file, text.len() - rest.len() + start));
        };
        expanded.push_str(&resolve(&reference[..end], env));
        rest = &reference[end + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Returns what `VAR`, `VAR:default` or `VAR:-default` stands for.
fn resolve(reference: &str, env: &dyn Fn(&str) -> Option<String>) -> String {
    let (name, default) = reference.split_once(':').unwrap_or((reference, ""));
    let default = default.strip_prefix('-').unwrap_or(default);
    env(name)
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| default.to_owned())
}

fn open_variable(text: &str, file: &str, offset: usize) -> Error {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Error::OpenVariable {
        file: file.to_owned(),
        line: before.matches('\n').count() as u64 + 1,
        column: before[line_start..].chars().count() as u64 + 1,
    }
}
