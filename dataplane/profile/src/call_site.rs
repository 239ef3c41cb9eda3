//! Restricting a query to the stacks below one call site.

use proto::types::v1::StackTraceSelector;

/// Function names, root first, that a stack must start with; none match every
/// stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CallSite {
    names: Vec<String>,
}

impl CallSite {
    /// Builds a call site from function names, root first.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            names: names.into_iter().map(Into::into).collect(),
        }
    }

    /// Function names, root first.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Tells whether every stack matches.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Tells whether a stack, root first, starts with the call site.
    pub fn matches<'a>(&self, stack: impl IntoIterator<Item = &'a str>) -> bool {
        let mut stack = stack.into_iter();
        self.names.iter().all(|name| stack.next() == Some(name))
    }
}

impl From<&StackTraceSelector> for CallSite {
    fn from(selector: &StackTraceSelector) -> Self {
        Self::new(selector.call_site.iter().map(|site| site.name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_site_is_a_prefix() {
        let site = CallSite::new(["main", "foo"]);
        assert!(site.matches(["main", "foo"]));
        assert!(site.matches(["main", "foo", "bar"]));
        assert!(!site.matches(["main"]));
        assert!(!site.matches(["main", "bar", "foo"]));
        assert!(CallSite::default().matches([]));
    }
}
