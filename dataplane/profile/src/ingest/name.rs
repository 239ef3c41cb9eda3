//! Names of applications as `/ingest` takes them.

use std::str::FromStr;

use super::IngestError;
use crate::labels::{self, LabelError, Labels};

/// Most tags of an application name.
pub(super) const MAX_TAGS: usize = 100;

/// An application name with tags: `app.cpu{region=eu,zone=a}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppName {
    /// The name as sent, with its type suffix.
    pub name: String,
    /// Tags in the order sent.
    pub labels: Vec<(String, String)>,
}

impl FromStr for AppName {
    type Err = IngestError;

    fn from_str(text: &str) -> Result<Self, IngestError> {
        let text = text.trim();
        let (name, tags) = match text.split_once('{') {
            Some((name, rest)) => {
                let tags = rest.strip_suffix('}').ok_or(IngestError::UnclosedTags)?;
                (name.trim(), tags)
            }
            None => (text, ""),
        };
        if name.is_empty() {
            return Err(IngestError::NoName);
        }
        let valid = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        if let Some(invalid) = name.chars().find(|c| !valid(*c)) {
            return Err(IngestError::NameCharacter(invalid));
        }
        Ok(Self {
            name: name.to_owned(),
            labels: parse_tags(tags)?,
        })
    }
}

fn parse_tags(text: &str) -> Result<Vec<(String, String)>, IngestError> {
    let mut tags = Vec::new();
    for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
        if tags.len() == MAX_TAGS {
            return Err(IngestError::TooManyTags);
        }
        let (name, value) = tag
            .split_once('=')
            .filter(|(name, _)| !name.trim().is_empty())
            .ok_or_else(|| IngestError::Tag(tag.to_owned()))?;
        tags.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(tags)
}

impl AppName {
    /// Returns the name of the service: the name without its type suffix.
    pub fn service_name(&self) -> &str {
        self.split_type().0
    }

    /// Returns the labels of the series of an `/ingest` request.
    ///
    /// The service is `service_name`, or `app_name` when a tag says another
    /// `service_name`. Private tags are dropped, except the session id that
    /// client libraries send.
    ///
    /// # Errors
    /// Tags that occur twice.
    pub fn series_labels(&self, metric: &str, spy_name: &str) -> Result<Labels, LabelError> {
        let tagged = self
            .labels
            .iter()
            .any(|(name, _)| name == labels::SERVICE_NAME);
        let service = if tagged {
            "app_name"
        } else {
            labels::SERVICE_NAME
        };
        let own = [
            (labels::NAME, metric),
            (labels::DELTA, "false"),
            (labels::SPY_NAME, spy_name),
            (service, self.service_name()),
        ];
        let tags = self.labels.iter().map(|(name, value)| (&**name, &**value));
        let tags = tags.filter(|(name, _)| {
            let private = name.starts_with("__") && *name != labels::SESSION_ID;
            !private && !own.iter().any(|(taken, _)| taken == name)
        });
        Labels::new(own.into_iter().chain(tags))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn app(text: &str) -> AppName {
        text.parse().unwrap()
    }

    #[test]
    fn names_have_tags() {
        assert_eq!(app("my-app.cpu").labels, []);
        let tagged = app(" app.cpu{ region = eu , zone=a=b,} ");
        assert_eq!(tagged.name, "app.cpu");
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(tagged.labels, [pair("region", "eu"), pair("zone", "a=b")]);
    }

    #[test]
    fn bad_names_are_refused() {
        let error = |text: &str| text.parse::<AppName>().unwrap_err().to_string();
        for text in ["", " ", "{a=b}"] {
            assert_eq!(error(text), "name: service name is required");
        }
        assert_eq!(error("a{b=c"), "name: tags do not end in '}'");
        assert_eq!(
            error("a{b}"),
            "name: tag \"b\" is not of the form name=value"
        );
        assert_eq!(
            error("a{=b}"),
            "name: tag \"=b\" is not of the form name=value"
        );
        assert_eq!(
            error("a b"),
            "name: application name has invalid character ' '"
        );
    }

    #[test]
    fn labels_follow_from_name_and_tags() {
        let labels = app("simple.golang.app{region=eu,__session_id__=1,__name__=x}");
        assert_eq!(
            labels
                .series_labels("process_cpu", "gospy")
                .unwrap()
                .to_string(),
            r#"{__delta__="false", __name__="process_cpu", __session_id__="1", pyroscope_spy="gospy", region="eu", service_name="simple.golang.app"}"#
        );
        let labels = app("app.cpu{service_name=b}")
            .series_labels("process_cpu", "x")
            .unwrap();
        assert_eq!(labels.get("service_name"), Some("b"));
        assert_eq!(labels.get("app_name"), Some("app"));
        assert!(app("a{b=c,b=d}").series_labels("m", "x").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a.]{0,3}(\\{)?[a=,{} é]{0,12}\\PC*") {
            if let Ok(app) = text.parse::<AppName>() {
                let _ = app.series_labels("m", "spy");
            }
        }
    }
}
