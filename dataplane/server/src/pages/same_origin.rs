//! Whether a form was posted by our own page.
//!
//! There is no login and so no session to steal, but a browser inside the
//! network can be made to post by any page that it shows.

use axum::http::{HeaderMap, header};

/// Tells whether a request may change something: it comes from a page of ours
/// or from a program that is no browser.
///
/// Browsers say where a post comes from, in `Sec-Fetch-Site` or in `Origin`,
/// and pages cannot change what they say.
pub(super) fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(header::ORIGIN.as_str()) else {
        return true;
    };
    let host = origin.split_once("://").map(|(_, host)| host);
    let ours = [text("x-forwarded-host"), text(header::HOST.as_str())];
    host.is_some() && ours.contains(&host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(given: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.insert(*name, value.parse().unwrap());
        }
        is_ours(&headers)
    }

    #[test]
    fn other_sites_may_not_post() {
        let host = ("host", "pyroscope:4040");
        assert!(is_allowed(&[host]), "a program that is no browser");
        assert!(is_allowed(&[host, ("origin", "http://pyroscope:4040")]));
        assert!(is_allowed(&[
            host,
            ("x-forwarded-host", "pyroscope.example"),
            ("origin", "https://pyroscope.example"),
        ]));
        assert!(is_allowed(&[
            host,
            ("sec-fetch-site", "same-origin"),
            ("origin", "https://behind-a-proxy"),
        ]));
        for evil in ["http://evil", "null", "pyroscope:4040", "http://pyroscope"] {
            assert!(!is_allowed(&[host, ("origin", evil)]), "{evil}");
        }
        assert!(!is_allowed(&[host, ("sec-fetch-site", "cross-site")]));
        assert!(!is_allowed(&[host, ("sec-fetch-site", "same-site")]));
    }
}
