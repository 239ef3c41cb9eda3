use proto::otlp::v1::{
    Attribute, Function, Line, Link, Location, Resource, Sample, Scope, ScopeProfiles, Stack,
    ValueType,
};

use super::*;

fn text_value(text: &str) -> Option<AnyValue> {
    Some(AnyValue {
        value: Some(any_value::Value::StringValue(text.to_owned())),
    })
}

fn key_value(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: text_value(value),
        key_strindex: 0,
    }
}

fn dictionary() -> Dictionary {
    let strings = [
        "",
        "samples",
        "count",
        "cpu",
        "nanoseconds",
        "main",
        "work",
        "service.name",
        "thread.name",
    ];
    let location = |function_index| Location {
        lines: vec![Line {
            function_index,
            line: 7,
        }],
        ..Location::default()
    };
    let function = |name_strindex| Function {
        name_strindex,
        ..Function::default()
    };
    let attribute = |key_strindex, value: &str| Attribute {
        key_strindex,
        value: text_value(value),
    };
    Dictionary {
        string_table: strings.map(str::to_owned).to_vec(),
        function_table: vec![function(0), function(5), function(6)],
        location_table: vec![Location::default(), location(1), location(2)],
        stack_table: vec![
            Stack::default(),
            Stack {
                location_indices: vec![2, 1],
            },
        ],
        attribute_table: vec![Attribute::default(), attribute(7, "b"), attribute(8, "t1")],
        link_table: vec![
            Link::default(),
            Link {
                trace_id: vec![0xab; 16].into(),
                span_id: vec![0xcd; 8].into(),
            },
        ],
        ..Dictionary::default()
    }
}

fn sample(values: &[i64], attributes: &[i32]) -> Sample {
    Sample {
        stack_index: 1,
        values: values.to_vec(),
        attribute_indices: attributes.to_vec(),
        ..Sample::default()
    }
}

fn profile(samples: Vec<Sample>) -> Profile {
    let value_type = |type_strindex, unit_strindex| {
        Some(ValueType {
            type_strindex,
            unit_strindex,
        })
    };
    Profile {
        sample_type: value_type(1, 2),
        period_type: value_type(3, 4),
        period: 10_000_000,
        time_unix_nano: 5,
        samples,
        ..Profile::default()
    }
}

fn resources(profile: Profile, attributes: Vec<KeyValue>) -> Vec<ResourceProfiles> {
    let scope = Scope {
        attributes: vec![key_value("k8s.pod", "other"), key_value("scope", "s")],
        ..Scope::default()
    };
    vec![ResourceProfiles {
        resource: Some(Resource { attributes }),
        scope_profiles: vec![ScopeProfiles {
            scope: Some(scope),
            profiles: vec![profile],
        }],
    }]
}

fn converted(profile: Profile, attributes: Vec<KeyValue>) -> Vec<Result<Series, String>> {
    let (resources, dictionary) = (resources(profile, attributes), dictionary());
    convert(&resources, &dictionary, &Limits::default())
        .map(|series| series.map_err(|error| error.to_string()))
        .collect()
}

#[test]
fn samples_of_a_cpu_become_time_and_attributes_labels() {
    let attributes = vec![key_value("service.name", "a"), key_value("k8s.pod", "p")];
    let series = converted(profile(vec![sample(&[3], &[2])]), attributes);
    let [Ok(Series { labels, profile })] = &series[..] else {
        panic!("{series:?}");
    };
    assert_eq!(
        labels.to_string(),
        r#"{__delta__="false", __name__="process_cpu", __otel__="true", k8s.pod="p", scope="s", service.name="a", service_name="a"}"#
    );
    assert_eq!(profile.sample[0].value, [30_000_000]);
    assert_eq!(profile.time_nanos, 5);
    let types = crate::ProfileType::of_columns("process_cpu", profile);
    assert_eq!(types[0].id(), "process_cpu:cpu:nanoseconds:cpu:nanoseconds");
    let label = profile.sample[0].label[0];
    assert_eq!(profile.string_table[label.str as usize], "t1");
    let mut tree = crate::Tree::default();
    tree.insert_profile(profile, 0, &crate::CallSite::default());
    let flame = format!("{:?}", tree.to_flamegraph(10));
    assert!(flame.contains("main") && flame.contains("work"), "{flame}");
}

#[test]
fn samples_of_several_services_are_told_apart() {
    let linked = Sample {
        link_index: 1,
        ..sample(&[1, 2], &[])
    };
    let counted = Sample {
        timestamps_unix_nano: vec![1, 2, 3],
        ..sample(&[], &[1])
    };
    let attributes = vec![key_value("process.executable.name", "exe")];
    let series = converted(profile(vec![linked, counted]), attributes);
    let services: Vec<_> = series
        .iter()
        .map(|one| one.as_ref().unwrap())
        .map(|one| {
            let service = one.labels.get("service_name").unwrap().to_owned();
            (service, one.profile.sample[0].value[0])
        })
        .collect();
    let want = |service: &str, value| (service.to_owned(), value);
    assert_eq!(
        services,
        [
            want("unknown_service:exe", 30_000_000),
            want("b", 30_000_000)
        ]
    );
    let first = &series[0].as_ref().unwrap().profile;
    assert!(first.string_table.contains(&"cd".repeat(8)));
    assert!(first.string_table.contains(&"ab".repeat(16)));
}

#[test]
fn other_types_are_named_by_their_period_or_themselves() {
    let mut other = profile(vec![sample(&[3], &[])]);
    other.sample_type.as_mut().unwrap().unit_strindex = 4;
    let series = converted(other.clone(), Vec::new());
    assert_eq!(
        series[0].as_ref().unwrap().labels.get("__name__"),
        Some("cpu")
    );
    other.period = 0;
    let series = converted(other, Vec::new());
    let series = series[0].as_ref().unwrap();
    assert_eq!(series.labels.get("__name__"), Some("samples"));
    assert_eq!(series.profile.sample[0].value, [3]);
}

#[test]
fn what_points_nowhere_is_refused() {
    let lost = |change: fn(&mut Sample)| {
        let mut sample = sample(&[1], &[]);
        change(&mut sample);
        converted(profile(vec![sample]), Vec::new())
            .remove(0)
            .unwrap_err()
    };
    assert!(lost(|sample| sample.stack_index = 9).contains("stack index 9"));
    assert!(lost(|sample| sample.stack_index = -1).contains("stack index -1"));
    assert!(lost(|sample| sample.link_index = 5).contains("link index 5"));
    assert!(lost(|sample| sample.attribute_indices = vec![7]).contains("attribute index 7"));
    assert!(lost(|sample| sample.values.clear()).contains("sample value is required"));
    let mut none = profile(vec![sample(&[1], &[])]);
    none.sample_type = None;
    let error = converted(none, Vec::new()).remove(0).unwrap_err();
    assert!(error.contains("sample type is missing"), "{error}");
}

#[test]
fn one_large_stack_does_not_make_many_large_profiles() {
    let mut dictionary = dictionary();
    dictionary.stack_table[1].location_indices = vec![1; 100_000];
    let mut resources = resources(profile(Vec::new()), Vec::new());
    let limits = Limits::default();
    let many = vec![sample(&[1], &[]); limits.samples];
    resources[0].scope_profiles[0].profiles[0].samples = many;
    let error = convert(&resources, &dictionary, &limits).next().unwrap();
    assert!(matches!(
        error,
        Err(OtlpError::Profile(PprofError::TooLarge { .. }))
    ));
}

#[test]
fn entries_are_counted_before_they_are_decoded() {
    use prost::Message as _;
    let request = proto::otlp::v1::ExportRequest {
        resource_profiles: resources(profile(vec![sample(&[1], &[1]); 10]), Vec::new()),
        dictionary: Some(dictionary()),
    };
    let bytes = request.encode_to_vec();
    let honest = entries(&bytes);
    assert!(
        (40..bytes.len() / 2).contains(&honest),
        "{honest} of {}",
        bytes.len()
    );
    assert!(entries(&bytes[..bytes.len() / 2]) < honest);
    // Empty samples: resource, scope, profile, then two bytes each.
    let samples = [0x12, 0].repeat(1000);
    let wrap = |tag: u8, inner: &[u8]| {
        let mut outer = vec![tag];
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        [outer, inner.to_vec()].concat()
    };
    let hostile = wrap(0x0a, &wrap(0x12, &wrap(0x12, &samples)));
    assert_eq!(entries(&hostile), 1003);
    assert_eq!(entries(&wrap(0x12, &[0x2a, 0].repeat(1000))), 1001);
}
