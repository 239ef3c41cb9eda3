//! Reading the head.

use std::collections::{BTreeSet, HashMap, HashSet};

use bytes::{BufMut as _, Bytes, BytesMut};
use profile::{
    CallSite, Labels, PprofMerge, Profile, ProfileType, ProfileTypeError, Selector, SelectorError,
    Tree,
};
use prost::Message as _;
use proto::reader::v1::{
    MergeFormat, MergeRequest, MergeResponse, Run, SelectRequest, SelectResponse, SeriesLabels,
};
use rustc_hash::FxHashMap;

use crate::head::{Head, Reading, Selected, Series, SeriesView, SymbolView};
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
    /// Bases are 16 bytes for each key, or none at all.
    #[error("the bases have {bases} bytes and the keys {keys}")]
    Bases {
        /// Bytes of the bases.
        bases: usize,
        /// Bytes of the keys.
        keys: usize,
    },
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
pub(crate) struct Criteria {
    pub(crate) profile_type: ProfileType,
    pub(crate) selector: Selector,
    pub(crate) range: TimeRange,
    pub(crate) call_site: CallSite,
}

impl Criteria {
    pub(crate) fn parse(request: &SelectRequest) -> Result<Self, QueryError> {
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

    /// Iterates over the series that match, with what is selected of each. What
    /// is pushed meanwhile is not part of it.
    fn read<'a>(&'a self, series: &'a SeriesView) -> impl Iterator<Item = (&'a Series, Selected)> {
        let matching = series
            .iter()
            .filter(|series| self.selector.matches(&series.labels));
        matching.map(|of_type| (of_type, series.select(of_type, self.range)))
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
    let (view, symbols) = tenant.head.of_type(&criteria.profile_type);
    let mut totals = Totals::new(&symbols, &criteria.call_site);
    let mut groups = Groups::default();
    let mut response = SelectResponse::default();
    let mut keys = BytesMut::new();
    for (series, selected) in criteria.read(&view) {
        let mut runs = Runs::new(&series.labels, selected.before(), response.timestamps.len());
        for profile in selected.readings() {
            if profile.is_cumulative() {
                runs.push(response.timestamps.len(), profile.base());
            }
            // Of a base it is not known, only that others may know it.
            let total = match profile.is_base() {
                true => 0,
                false => totals.of(profile),
            };
            keys.put_slice(&profile.id());
            response.timestamps.push(profile.timestamp());
            response.totals.push(total);
            let group = groups.index(series.labels.only(&request.group_by));
            response.series_index.push(group);
        }
        response.runs.append(&mut runs.runs);
    }
    response.keys = keys.freeze();
    response.series = groups.labels;
    Ok(response)
}

/// Notes which profiles of a series grow, and since which.
pub(crate) struct Runs<'a> {
    pub(crate) runs: Vec<Run>,
    labels: &'a Labels,
}

impl<'a> Runs<'a> {
    /// Begins with what is before the range, if anything is.
    pub(crate) fn new(labels: &'a Labels, before: Option<([u8; 16], i64)>, first: usize) -> Self {
        let mut runs = Self {
            runs: Vec::new(),
            labels,
        };
        if let Some(before) = before {
            runs.begin(first, Some(before));
        }
        runs
    }

    pub(crate) fn push(&mut self, profile: usize, base: Option<([u8; 16], i64)>) {
        let end = |run: &Run| run.first as usize + run.count as usize;
        if self.runs.last().map(end) != Some(profile) {
            self.begin(profile, base);
        }
        if let Some(run) = self.runs.last_mut() {
            run.count += 1;
        }
    }

    fn begin(&mut self, first: usize, base: Option<([u8; 16], i64)>) {
        self.runs.push(Run {
            series: self.labels.fingerprint(),
            // Bounded by the memory of the head.
            first: first as u32,
            count: 0,
            base: base.map_or_else(Bytes::new, |(id, _)| Bytes::copy_from_slice(&id)),
            base_timestamp: base.map_or(0, |(_, timestamp)| timestamp),
        });
    }
}

/// Numbers the label sets of a response.
#[derive(Default)]
pub(crate) struct Groups {
    indexes: HashMap<Labels, u32>,
    pub(crate) labels: Vec<SeriesLabels>,
}

impl Groups {
    pub(crate) fn index(&mut self, labels: Labels) -> u32 {
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
pub(crate) struct Totals<'a> {
    symbols: &'a SymbolView,
    call_site: CallSite,
    under: FxHashMap<u32, bool>,
}

impl<'a> Totals<'a> {
    pub(crate) fn new(symbols: &'a SymbolView, call_site: &CallSite) -> Self {
        Self {
            symbols,
            call_site: call_site.clone(),
            under: FxHashMap::default(),
        }
    }

    fn of(&mut self, profile: Reading<'_>) -> i64 {
        match self.call_site.is_empty() {
            true => profile.total(),
            false => self.sum(profile.samples()),
        }
    }

    /// Sums the values of samples.
    pub(crate) fn sum(&mut self, samples: impl Iterator<Item = (u32, i64)>) -> i64 {
        let Self {
            symbols,
            call_site,
            under,
        } = self;
        samples
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
    let wanted = wanted(request)?;
    let mut missing: HashSet<[u8; 16]> = wanted.keys().copied().collect();
    let mut sums: FxHashMap<u32, i64> = FxHashMap::default();
    let mut merged = Profile::default();
    if let Some(tenant) = tenant {
        let (series, symbols) = tenant.head.of_type(&criteria.profile_type);
        for (_, selected) in criteria.read(&series) {
            for profile in selected.readings() {
                let reading = match wanted.get(&profile.id()) {
                    None => continue,
                    Some(None) => Some(profile.as_it_is()),
                    Some(Some(base)) => selected.against(profile, *base),
                };
                let Some(reading) = reading else {
                    continue;
                };
                missing.remove(&profile.id());
                for (stack, value) in reading.samples() {
                    let sum = sums.entry(stack).or_default();
                    *sum = sum.saturating_add(value);
                }
            }
        }
        let mut sums: Vec<(u32, i64)> = sums.into_iter().collect();
        // The same profiles always merge to the same bytes.
        sums.sort_unstable();
        merged = symbols.profile(sums.into_iter());
    }
    let keys = request.keys.as_chunks::<16>().0.iter();
    let missing = keys
        .filter(|key| missing.remove(*key))
        .flatten()
        .copied()
        .collect();
    Ok(MergeResponse {
        data: encode(&merged, &criteria, format),
        missing,
    })
}

/// Reads which profiles a request asks for, and since which other one if it is not
/// for their values as they are.
pub(crate) fn wanted(
    request: &MergeRequest,
) -> Result<HashMap<[u8; 16], Option<[u8; 16]>>, QueryError> {
    let (keys, []) = request.keys.as_chunks::<16>() else {
        return Err(QueryError::Keys(request.keys.len()));
    };
    let (bases, rest) = request.bases.as_chunks::<16>();
    let is_fitting = bases.is_empty() || bases.len() == keys.len();
    if !is_fitting || !rest.is_empty() {
        return Err(QueryError::Bases {
            bases: request.bases.len(),
            keys: request.keys.len(),
        });
    }
    let bases = bases.iter().map(|base| (*base != [0; 16]).then_some(*base));
    let bases = bases.chain(std::iter::repeat(None));
    Ok(keys.iter().copied().zip(bases).collect())
}

pub(crate) fn encode(merged: &Profile, criteria: &Criteria, format: MergeFormat) -> Bytes {
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
