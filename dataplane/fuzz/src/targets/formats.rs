//! The formats of `/ingest` besides pprof, and OpenTelemetry profiles.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use profile::ingest::{Context, IngestError, Series, folded, jfr, speedscope, tree, trie};
use profile::otlp;
use profile::pprof::{Limits, View};
use prost::Message as _;
use proto::otlp::v1::ExportRequest;

const LIMITS: Limits = Limits {
    uncompressed_bytes: 1 << 20,
    samples: 1000,
    sample_labels: 10,
    stack_depth: 50,
    symbol_bytes: 1000,
};

fn context() -> Context {
    Context {
        name: "app.cpu{a=b}".parse().expect("the name is valid"),
        spy_name: "fuzz".to_owned(),
        sample_rate: 100,
        start: 1_795_000_000_000_000_000,
        end: 1_795_000_010_000_000_000,
    }
}

/// What a parser makes is valid and within the limits.
fn hold(parsed: Result<Vec<Series>, IngestError>) {
    for Series { profile, .. } in parsed.into_iter().flatten() {
        hold_profile(&profile);
    }
}

fn hold_profile(profile: &profile::Profile) {
    let view = View::of(profile).expect("what was made can be read");
    view.validate(&LIMITS).expect("what was made is valid");
    assert!(
        profile
            .sample
            .iter()
            .all(|sample| sample.location_id.len() <= LIMITS.stack_depth)
    );
}

pub(crate) fn folded(data: &[u8]) {
    hold(folded::groups(data, &context(), &LIMITS));
    hold(folded::lines(data, &context(), &LIMITS));
}

pub(crate) fn folded_seeds() -> Vec<Vec<u8>> {
    vec![b"main;work 10\nmain;work;leaf 3\r\n\nmain 1\n".to_vec()]
}

pub(crate) fn trie(data: &[u8]) {
    hold(trie::parse(data, &context(), &LIMITS));
}

pub(crate) fn trie_seeds() -> Vec<Vec<u8>> {
    vec![b"\x00\x00\x02\x06main;f\x01\x02\x04oo;b\x02\x00\x02ar\x03\x00\x05other\x04\x00".to_vec()]
}

pub(crate) fn call_tree(data: &[u8]) {
    hold(tree::parse(data, &context(), &LIMITS));
}

pub(crate) fn call_tree_seeds() -> Vec<Vec<u8>> {
    vec![b"\x00\x00\x01\x04main\x00\x02\x03foo\x01\x01\x03bar\x02\x00\x03bar\x04\x00".to_vec()]
}

pub(crate) fn speedscope(data: &[u8]) {
    hold(speedscope::parse(data, &context(), &LIMITS));
}

pub(crate) fn speedscope_seeds() -> Vec<Vec<u8>> {
    let file = |profiles: &str| {
        let schema = "https://www.speedscope.app/file-format-schema.json";
        let frames = r#"[{"name":"a"},{"name":"b"}]"#;
        format!(
            r#"{{"$schema":"{schema}","shared":{{"frames":{frames}}},"profiles":[{profiles}]}}"#
        )
        .into_bytes()
    };
    let sampled = r#"{"type":"sampled","name":"p","unit":"seconds","startValue":0,"endValue":2,"samples":[[0,1],[0]],"weights":[1.5,0.5]}"#;
    let evented = r#"{"type":"evented","name":"e","unit":"bytes","startValue":0,"endValue":2,"events":[{"type":"O","frame":0,"at":0},{"type":"O","frame":1,"at":1},{"type":"C","frame":1,"at":2},{"type":"C","frame":0,"at":2}]}"#;
    vec![
        file(sampled),
        file(evented),
        file(&format!("{sampled},{evented}")),
    ]
}

/// A recording; its first byte says how much of the end is labels.
pub(crate) fn recording(data: &[u8]) {
    let Some((labels, data)) = data.split_first() else {
        return;
    };
    let at = data.len().saturating_sub(usize::from(*labels));
    let (recording, labels) = data.split_at(at);
    hold(jfr::parse(recording, labels, &context(), &LIMITS));
}

pub(crate) fn recording_seeds() -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profile/tests/ingest/busy.jfr.gz");
    let gzip = fs::read(path).expect("the recording can be read");
    let mut seed = vec![0];
    flate2::read::GzDecoder::new(&gzip[..])
        .read_to_end(&mut seed)
        .expect("the recording is whole");
    vec![seed]
}

/// A request of OpenTelemetry, through everything that a distributor does.
pub(crate) fn otlp(data: &[u8]) {
    let entries = otlp::entries(data);
    let Ok(request) = ExportRequest::decode(data) else {
        return;
    };
    let resources = &request.resource_profiles;
    let scopes = resources
        .iter()
        .flat_map(|resource| &resource.scope_profiles);
    let profiles = scopes.flat_map(|scope| &scope.profiles);
    let samples: usize = profiles.map(|profile| profile.samples.len()).sum();
    assert!(samples <= entries, "{samples} samples in {entries} entries");
    let dictionary = request.dictionary.unwrap_or_default();
    assert!(dictionary.string_table.len() + dictionary.location_table.len() <= entries);
    for series in otlp::convert(resources, &dictionary, &LIMITS)
        .take(100)
        .flatten()
    {
        let encoded = profile::pprof::encode(&series.profile);
        let mut view = View::default();
        if view.decode(&encoded, LIMITS.uncompressed_bytes).is_ok() {
            let _ = view.validate(&LIMITS);
        }
    }
}

pub(crate) fn otlp_seeds() -> Vec<Vec<u8>> {
    let json = r#"{"resourceProfiles":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},
        "scopeProfiles":[{"scope":{"name":"s"},"profiles":[{"sampleType":{"typeStrindex":1,"unitStrindex":2},
        "periodType":{"typeStrindex":3,"unitStrindex":4},"period":"10","timeUnixNano":"1795000000000000000",
        "samples":[{"stackIndex":1,"values":["3"],"attributeIndices":[1]}]}]}]}],
        "dictionary":{"stringTable":["","samples","count","cpu","nanoseconds","main","thread.name"],
        "functionTable":[{},{"nameStrindex":5}],"locationTable":[{},{"lines":[{"functionIndex":1,"line":"7"}]}],
        "stackTable":[{},{"locationIndices":[1,1]}],"mappingTable":[{}],"linkTable":[{}],
        "attributeTable":[{},{"keyStrindex":6,"value":{"stringValue":"t"}}]}}"#;
    let request: ExportRequest = serde_json::from_str(json).expect("the request is valid");
    vec![request.encode_to_vec()]
}
