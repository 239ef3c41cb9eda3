//! Reading the head.

use std::collections::{BTreeSet, HashMap, HashSet};

use bytes::{BufMut as _, Bytes, BytesMut};
use profile::{
    CallSite, Labels, PprofMerge, Profile, ProfileType, ProfileTypeError, Selector, SelectorError,
    Tree,
};
use prost::Message as _;
use proto::reader::v1::{
    MergeFormat, MergeRequest, MergeResponse, SelectRequest, SelectResponse, SeriesLabels,
};
use rustc_hash::FxHashMap;

use crate::head::{Head, Reading, Series, SeriesView, SymbolView};
use crate::tenant::Tenant;

/// A span of time in Unix milliseconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// First millisecond.
    pub start: i64,
    /// Last millisecond.
    pub end: i64,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self {
        start: i64::MIN,
        end: i64::MAX,
    };

    /// Reads the range of a request, which is all of time when it has none.
    pub fn of_request(start: i64, end: i64) -> Self {
        match (start, end) {
            (0, 0) => Self::ALL,
            (start, end) => Self { start, end },
        }
    }
}

/// Why a read was refused; the fault is the caller's.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueryError {
    /// The profile type does not parse.
    #[error(transparent)]
    ProfileType(#[from] ProfileTypeError),
    /// The label selector does not parse.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// Keys are 16 bytes each.
    #[error("the keys have {0} bytes, which is no multiple of 16")]
    Keys(usize),
    /// The merge format is none that is known.
    #[error("{0} is no merge format")]
    Format(i32),
}

/// How much a tenant has in the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TenantStats {
    /// Series, one per sample type.
    pub series: usize,
    /// Profiles.
    pub profiles: usize,
    /// Time of the oldest profile in Unix milliseconds.
    pub oldest: Option<i64>,
    /// Time of the newest profile in Unix milliseconds.
    pub newest: Option<i64>,
}

/// A selection that parsed.
struct Criteria {
    profile_type: ProfileType,
    selector: Selector,
    range: TimeRange,
    call_site: CallSite,
}

impl Criteria {
    fn parse(request: &SelectRequest) -> Result<Self, QueryError> {
        // Series are stored without the mark that tells deltas.
        let profile_type = ProfileType {
            delta: false,
            ..request.profile_type.parse()?
        };
        let selector = match request.label_selector.trim() {
            "" => Selector::default(),
            text => text.parse()?,
        };
        let range = TimeRange {
            start: request.start,
            end: request.end,
        };
        let call_site = CallSite::new(request.call_site.iter().cloned());
        Ok(Self {
            profile_type,
            selector,
            range,
            call_site,
        })
    }

    /// Gives the profiles that match to `each`, with the labels of their series.
    /// What is pushed meanwhile is not among them.
    fn read<'a>(&self, series: &'a SeriesView, mut each: impl FnMut(&'a Labels, Reading<'_>)) {
        for series_of_type in series.iter() {
            if !self.selector.matches(&series_of_type.labels) {
                continue;
            }
            let selected = series.select(series_of_type, self.range);
            for profile in selected.profiles() {
                each(&series_of_type.labels, profile);
            }
        }
    }
}

pub(crate) fn select(
    tenant: Option<&Tenant>,
    request: &SelectRequest,
) -> Result<SelectResponse, QueryError> {
    let criteria = Criteria::parse(request)?;
    let Some(tenant) = tenant else {
        return Ok(SelectResponse::default());
    };
    let (series, symbols) = tenant.head.of_type(&criteria.profile_type);
    let mut totals = Totals {
        symbols,
        call_site: criteria.call_site.clone(),
        under: FxHashMap::default(),
    };
    let mut groups = Groups::default();
    let mut response = SelectResponse::default();
    let mut keys = BytesMut::new();
    criteria.read(&series, |labels, profile| {
        if profile.is_unchanged() {
            return;
        }
        keys.put_slice(&profile.id());
        response.timestamps.push(profile.timestamp());
        response.totals.push(totals.of(profile));
        let group = groups.index(labels.only(&request.group_by));
        response.series_index.push(group);
    });
    response.keys = keys.freeze();
    response.series = groups.labels;
    Ok(response)
}

/// Numbers the label sets of a response.
#[derive(Default)]
struct Groups {
    indexes: HashMap<Labels, u32>,
    labels: Vec<SeriesLabels>,
}

impl Groups {
    fn index(&mut self, labels: Labels) -> u32 {
        // As many as there are series, whose indexes are 32 bits wide.
        let next = self.labels.len() as u32;
        *self.indexes.entry(labels).or_insert_with_key(|labels| {
            let (names, values) = labels
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .unzip();
            self.labels.push(SeriesLabels { names, values });
            next
        })
    }
}

/// Sums the values of profiles below a call site; whether a stack is there is
/// found out once.
struct Totals {
    symbols: SymbolView,
    call_site: CallSite,
    under: FxHashMap<u32, bool>,
}

impl Totals {
    fn of(&mut self, profile: Reading<'_>) -> i64 {
        if self.call_site.is_empty() {
            return profile.total();
        }
        let Self {
            symbols,
            call_site,
            under,
        } = self;
        profile
            .samples()
            .filter(|(stack, _)| {
                *under
                    .entry(*stack)
                    .or_insert_with(|| symbols.is_under(*stack, call_site))
            })
            .fold(0, |sum: i64, (_, value)| sum.saturating_add(value))
    }
}

pub(crate) fn merge(
    tenant: Option<&Tenant>,
    request: &MergeRequest,
) -> Result<MergeResponse, QueryError> {
    let criteria = Criteria::parse(&request.select.clone().unwrap_or_default())?;
    let format =
        MergeFormat::try_from(request.format).map_err(|_| QueryError::Format(request.format))?;
    let (keys, []) = request.keys.as_chunks::<16>() else {
        return Err(QueryError::Keys(request.keys.len()));
    };
    let mut missing: HashSet<[u8; 16]> = keys.iter().copied().collect();
    let wanted = missing.clone();
    let mut sums: FxHashMap<u32, i64> = FxHashMap::default();
    let mut merged = Profile::default();
    if let Some(tenant) = tenant {
        let (series, symbols) = tenant.head.of_type(&criteria.profile_type);
        criteria.read(&series, |_, profile| {
            if !wanted.contains(&profile.id()) {
                return;
            }
            missing.remove(&profile.id());
            for (stack, value) in profile.samples() {
                let sum = sums.entry(stack).or_default();
                *sum = sum.saturating_add(value);
            }
        });
        let mut sums: Vec<(u32, i64)> = sums.into_iter().collect();
        // The same profiles always merge to the same bytes.
        sums.sort_unstable();
        merged = symbols.profile(sums.into_iter());
    }
    let missing = keys
        .iter()
        .filter(|key| missing.remove(*key))
        .flatten()
        .copied()
        .collect();
    Ok(MergeResponse {
        data: encode(&merged, &criteria, format),
        missing,
    })
}

fn encode(merged: &Profile, criteria: &Criteria, format: MergeFormat) -> Bytes {
    match format {
        MergeFormat::Tree => {
            let mut tree = Tree::default();
            tree.insert_profile(merged, 0, &criteria.call_site);
            tree.encode().into()
        }
        MergeFormat::Pprof => {
            let mut merge = PprofMerge::new(&criteria.profile_type);
            merge.add(merged, 0, &criteria.call_site);
            merge.finish().encode_to_vec().into()
        }
    }
}

/// The series of a tenant that match any of some selectors, or all if there are
/// none, and have a profile within a range.
pub(crate) struct Listing<'a> {
    series: SeriesView,
    matchers: &'a [Selector],
    range: TimeRange,
}

impl<'a> Listing<'a> {
    pub(crate) fn new(head: &Head, matchers: &'a [Selector], range: TimeRange) -> Self {
        Self {
            series: head.series(),
            matchers,
            range,
        }
    }

    fn series_that_match(&self) -> impl Iterator<Item = &Series> {
        let any = |series: &&Series| {
            let mut matchers = self.matchers.iter();
            self.matchers.is_empty() || matchers.any(|any| any.matches(&series.labels))
        };
        let series = self.series.iter().filter(any);
        series.filter(|series| !self.series.select(series, self.range).is_empty())
    }

    fn labels(&self) -> impl Iterator<Item = &Labels> {
        self.series_that_match().map(|series| &series.labels)
    }

    pub(crate) fn profile_types(&self) -> Vec<ProfileType> {
        let series = self.series_that_match();
        let types: BTreeSet<&ProfileType> = series.map(|series| &series.profile_type).collect();
        types.into_iter().cloned().collect()
    }

    pub(crate) fn label_names(&self) -> Vec<String> {
        let labels = self.labels();
        let names: BTreeSet<&str> = labels
            .flat_map(|labels| labels.iter().map(|(name, _)| name))
            .filter(|name| is_plain(name))
            .collect();
        names.into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn label_values(&self, name: &str) -> Vec<String> {
        let labels = self.labels();
        let values: BTreeSet<&str> = labels.filter_map(|labels| labels.get(name)).collect();
        values.into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn series(&self) -> Vec<Labels> {
        let series: BTreeSet<&Labels> = self.labels().collect();
        series.into_iter().cloned().collect()
    }
}

pub(crate) fn stats(head: &Head) -> TenantStats {
    let view = head.series();
    let ends = view.iter().filter_map(Series::ends);
    let (series, oldest, newest) = ends.fold((0, None, None), |(count, oldest, newest), ends| {
        let (first, last): (i64, i64) = ends;
        let oldest = oldest.map_or(first, |oldest: i64| oldest.min(first));
        let newest = newest.map_or(last, |newest: i64| newest.max(last));
        (count + 1, Some(oldest), Some(newest))
    });
    TenantStats {
        series,
        profiles: usize::try_from(head.profiles()).unwrap_or(usize::MAX),
        oldest,
        newest,
    }
}

/// Tells whether clients that know only Prometheus label names can use a name.
/// Others are stored and can be selected but are not listed, as in Grafana
/// Pyroscope.
fn is_plain(name: &str) -> bool {
    let body = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    body && !name.starts_with(|first: char| first.is_ascii_digit())
}
