//! The little HTML that the pages need.

use axum::response::{Html, IntoResponse as _, Response};

/// Returns a whole page around `body`, which is already HTML.
pub(super) fn page(title: &str, body: &str) -> Response {
    Html(format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>\
         body{{font-family:sans-serif;margin:2em}}\
         table{{border-collapse:collapse}}\
         td,th{{border:1px solid #bbb;padding:.3em .6em;text-align:left}}\
         </style></head><body><h1>{title}</h1>{body}</body></html>"
    ))
    .into_response()
}

/// Returns a table; cells of `rows` are already HTML.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let cells = |tag: &str, cells: &[String]| {
        let cells: String = cells
            .iter()
            .map(|cell| format!("<{tag}>{cell}</{tag}>"))
            .collect();
        format!("<tr>{cells}</tr>")
    };
    let head: Vec<String> = head.iter().map(|&text| text.to_owned()).collect();
    let body: String = rows.into_iter().map(|row| cells("td", &row)).collect();
    format!("<table>{}{body}</table>", cells("th", &head))
}

/// Returns `text` with everything escaped that means something in HTML.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_the_network_cannot_become_markup() {
        assert_eq!(
            escape("<b a='x' b=\"&\">"),
            "&lt;b a=&#39;x&#39; b=&quot;&amp;&quot;&gt;"
        );
    }
}
