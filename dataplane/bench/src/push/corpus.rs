//! Push requests as a scraping agent sends them, made of real profiles.

use std::io::{Read, Write};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use prost::Message;
use prost::bytes::Bytes;
use prost::encoding::{DecodeContext, WireType, decode_key, encode_key, encode_varint, skip_field};
use proto::push::v1::{PushRequest, RawProfileSeries, RawSample};
use proto::types::v1::LabelPair;

/// Number of series that a corpus is pushed to.
pub const SERIES: usize = 500;
/// Services that the series belong to; each has as many pods of each kind of
/// profile as all others.
const SERVICES: usize = 50;
/// Time between two profiles of a series, in nanoseconds.
const SCRAPE_INTERVAL: i64 = 15_000_000_000;
/// Number of `time_nanos` among the fields of a profile.
const TIME_NANOS: u32 = 9;

/// The profiles, with the name of the series that each kind belongs to.
const FILES: &[(&str, &[&[u8]])] = &[
    (
        "process_cpu",
        &[
            include_bytes!("../../corpus/cpu-41.pb.gz"),
            include_bytes!("../../corpus/cpu-45.pb.gz"),
            include_bytes!("../../corpus/cpu-47.pb.gz"),
        ],
    ),
    (
        "memory",
        &[
            include_bytes!("../../corpus/heap-00.pb.gz"),
            include_bytes!("../../corpus/heap-44.pb.gz"),
        ],
    ),
    ("mutex", &[include_bytes!("../../corpus/mutex-12.pb.gz")]),
];

/// Makes the requests of a run, each with one profile.
#[derive(Debug)]
pub struct Corpus {
    kinds: Vec<Kind>,
}

/// Profiles that one series has in turns.
#[derive(Debug)]
struct Kind {
    name: &'static str,
    /// Uncompressed and without their times.
    profiles: Vec<Vec<u8>>,
}

impl Corpus {
    /// Reads the committed profiles.
    ///
    /// # Errors
    ///
    /// Fails when one is damaged.
    pub fn new() -> Result<Self> {
        let kind = |(name, files): &(&'static str, &[&[u8]])| {
            let profiles: Result<Vec<_>> = files.iter().map(|file| timeless(file)).collect();
            let profiles = profiles.with_context(|| format!("corpus of {name}"))?;
            Ok(Kind { name, profiles })
        };
        Ok(Self {
            kinds: FILES.iter().map(kind).collect::<Result<_>>()?,
        })
    }

    /// Returns the body of request `number` of `count`. The last round over all
    /// series is of `now`, in Unix nanoseconds, each earlier one a scrape interval
    /// older.
    pub fn request(&self, number: usize, count: usize, now: i64) -> Bytes {
        let (series, round) = (number % SERIES, number / SERIES);
        let rounds_left = (count.saturating_sub(1) / SERIES).saturating_sub(round);
        let age = SCRAPE_INTERVAL.saturating_mul(i64::try_from(rounds_left).unwrap_or(i64::MAX));
        // Targets of a scraper do not all have their turn at the same moment.
        let phase = i64::try_from(series).unwrap_or(0) * (SCRAPE_INTERVAL / SERIES as i64);
        let kind = self.kind_of(series);
        let profile = &kind.profiles[(series / SERVICES + round) % kind.profiles.len()];
        let push = PushRequest {
            series: vec![RawProfileSeries {
                labels: labels(kind.name, series),
                samples: vec![RawSample {
                    raw_profile: stamped(profile, now.saturating_sub(age).saturating_sub(phase)),
                    ..RawSample::default()
                }],
                annotations: Vec::new(),
            }],
        };
        push.encode_to_vec().into()
    }

    /// Returns the kind of a series: as often as the corpus has profiles of it.
    fn kind_of(&self, series: usize) -> &Kind {
        let total: usize = self.kinds.iter().map(|kind| kind.profiles.len()).sum();
        let mut turn = series % total;
        for kind in &self.kinds {
            match turn.checked_sub(kind.profiles.len()) {
                Some(rest) => turn = rest,
                None => return kind,
            }
        }
        unreachable!("a turn is less than the sum of all")
    }
}

/// The labels that a scraping agent on Kubernetes gives.
fn labels(name: &str, series: usize) -> Vec<LabelPair> {
    let (service, pod) = (series % SERVICES, series / SERVICES);
    let app = format!("app-{service:02}");
    let pod = format!("{app}-5d8f9c7b6{pod}-x{series:03}");
    let address = format!("10.0.{service}.{}:6060", series % 250);
    let pairs = [
        ("__name__", name.to_owned()),
        ("container", "main".to_owned()),
        ("instance", address),
        ("job", format!("shop/{app}")),
        ("namespace", "shop".to_owned()),
        ("pod", pod),
        ("service_name", format!("shop/{app}")),
    ];
    let pair = |(name, value): (&str, String)| LabelPair {
        name: name.to_owned(),
        value,
    };
    pairs.map(pair).into()
}

/// Decompresses a profile and takes its time out.
fn timeless(file: &[u8]) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(file).read_to_end(&mut plain)?;
    let mut kept = Vec::with_capacity(plain.len());
    let mut rest = &plain[..];
    while !rest.is_empty() {
        let field = rest;
        let (number, wire_type) = decode_key(&mut rest)?;
        skip_field(wire_type, number, &mut rest, DecodeContext::default())?;
        if number != TIME_NANOS {
            kept.extend_from_slice(&field[..field.len() - rest.len()]);
        }
    }
    Ok(kept)
}

/// Gives a profile a time and compresses it as Go's `runtime/pprof` does: for
/// speed.
fn stamped(timeless: &[u8], time: i64) -> Bytes {
    let mut stamp = Vec::with_capacity(16);
    encode_key(TIME_NANOS, WireType::Varint, &mut stamp);
    encode_varint(time.cast_unsigned(), &mut stamp);
    let mut gzip = GzEncoder::new(Vec::with_capacity(timeless.len() / 2), LEVEL);
    gzip.write_all(&stamp)
        .and_then(|()| gzip.write_all(timeless))
        .and_then(|()| gzip.finish())
        .expect("writing into a Vec cannot fail")
        .into()
}

/// What comes out is as large as what Go's fastest level makes of the corpus.
const LEVEL: Compression = Compression::new(2);

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proto::google::v1::Profile;

    use super::*;

    const NOW: i64 = 1_800_000_000_000_000_000;

    fn pushed(corpus: &Corpus, number: usize, count: usize) -> (Vec<LabelPair>, Profile, usize) {
        let push = PushRequest::decode(corpus.request(number, count, NOW)).unwrap();
        let [series] = &push.series[..] else {
            panic!("one series, not {}", push.series.len());
        };
        let raw = &series.samples[0].raw_profile;
        let mut plain = Vec::new();
        GzDecoder::new(&raw[..]).read_to_end(&mut plain).unwrap();
        let profile = Profile::decode(&plain[..]).unwrap();
        (series.labels.clone(), profile, raw.len())
    }

    #[test]
    fn every_profile_is_another_one_within_the_ingestion_window() {
        let (corpus, count) = (Corpus::new().unwrap(), 1200);
        let mut times: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
        for number in 0..count {
            let (labels, profile, _) = pushed(&corpus, number, count);
            let age = NOW - profile.time_nanos;
            assert!((0..3_600_000_000_000).contains(&age), "{age}");
            let new = times.entry(format!("{labels:?}")).or_default();
            assert!(new.insert(profile.time_nanos), "{labels:?}");
        }
        assert_eq!(times.len(), SERIES);
    }

    #[test]
    fn profiles_are_of_the_size_that_the_limits_are_about() {
        let corpus = Corpus::new().unwrap();
        let (mut bytes, mut stacks) = (0, 0);
        for number in 0..600 {
            let (_, profile, len) = pushed(&corpus, number, 600);
            bytes += len;
            stacks += profile.sample.len();
        }
        assert!((13_000..15_000).contains(&(bytes / 600)), "{}", bytes / 600);
        assert!((320..350).contains(&(stacks / 600)), "{}", stacks / 600);
    }
}
