//! Pushes as Connect and gRPC carry them.

use prost::Message as _;
use proto::push::v1::{PushRequest, RawProfileSeries, RawSample};
use proto::types::v1::LabelPair;

use profile::{LabelLimits, Labels};

/// A push in JSON.
pub(crate) fn json(data: &[u8]) {
    let Ok(push) = serde_json::from_slice::<PushRequest>(data) else {
        return;
    };
    let text = serde_json::to_vec(&push).expect("a push can be written");
    let again: PushRequest = serde_json::from_slice(&text).expect("what was written is understood");
    assert_eq!(push, again);
    check(push);
}

/// A push in protobuf.
pub(crate) fn proto(data: &[u8]) {
    let Ok(push) = PushRequest::decode(data) else {
        return;
    };
    let again = PushRequest::decode(push.encode_to_vec().as_slice());
    assert_eq!(Ok(&push), again.as_ref());
    check(push);
}

/// Reads the labels of each series and says what is wrong with them.
fn check(push: PushRequest) {
    for series in push.series {
        let text = match Labels::from_proto(series.labels) {
            Ok(labels) => LabelLimits::default().check(&labels).err(),
            Err(error) => Some(error),
        };
        let text = text.map(|error| error.to_string()).unwrap_or_default();
        assert!(text.len() < 10 << 10, "a message of {} bytes", text.len());
    }
}

fn example() -> PushRequest {
    let label = |name: &str, value: &str| LabelPair {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    PushRequest {
        series: vec![RawProfileSeries {
            labels: vec![label("__name__", "process_cpu"), label("service_name", "a")],
            samples: vec![RawSample {
                raw_profile: vec![0x1f, 0x8b, 8, 0].into(),
                id: "734FD599-6865-419E-9475-932762D8F469".to_owned(),
                ..RawSample::default()
            }],
            annotations: Vec::new(),
        }],
    }
}

pub(crate) fn json_seeds() -> Vec<Vec<u8>> {
    let example = serde_json::to_vec(&example()).expect("a push can be written");
    vec![
        example,
        br#"{"series":[{"samples":[{"raw_profile":"H4sI","ID":"x"}],"unknown":1}]}"#.to_vec(),
    ]
}

pub(crate) fn proto_seeds() -> Vec<Vec<u8>> {
    vec![example().encode_to_vec()]
}
