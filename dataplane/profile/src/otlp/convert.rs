//! One profile of a request, cut by service.

use std::collections::{BTreeMap, HashMap};

use proto::google::v1;
use proto::otlp::v1::{Dictionary, Profile, Sample, ValueType};

use super::{OtlpError, SERVICE_NAME, string, text};
use crate::pprof::{Limits, PprofError};

/// Attribute of a mapping that says what was built.
const BUILD_ID: &str = "process.executable.build_id.gnu";

/// The part of a profile that is of one service.
pub(super) struct Converted {
    /// Value of `__name__`.
    pub(super) metric: String,
    /// Empty if the samples do not say.
    pub(super) service: String,
    pub(super) profile: crate::Profile,
}

/// Converts a profile.
pub(super) fn by_service(
    profile: &Profile,
    dictionary: &Dictionary,
    limits: &Limits,
) -> Result<Vec<Converted>, OtlpError> {
    let columns = Columns::of(profile, dictionary)?;
    let mut services: BTreeMap<&str, Builder<'_>> = BTreeMap::new();
    for sample in &profile.samples {
        let service = attribute(&sample.attribute_indices, dictionary, SERVICE_NAME)?;
        let builder = services
            .entry(service)
            .or_insert_with(|| Builder::new(dictionary, limits));
        builder.sample(sample, columns.value(sample)?)?;
    }
    let converted = services.into_iter().map(|(service, builder)| Converted {
        metric: columns.metric.clone(),
        service: service.to_owned(),
        profile: builder.finish(profile, &columns),
    });
    Ok(converted.collect())
}

/// What the values of a profile mean.
struct Columns<'d> {
    metric: String,
    sample_type: (&'d str, &'d str),
    period_type: Option<(&'d str, &'d str)>,
    /// What values are multiplied by.
    factor: i64,
}

impl<'d> Columns<'d> {
    fn of(profile: &Profile, dictionary: &'d Dictionary) -> Result<Self, OtlpError> {
        let pair = |of: &ValueType| {
            let name = checked(dictionary, of.type_strindex)?;
            Ok::<_, OtlpError>((name, checked(dictionary, of.unit_strindex)?))
        };
        let sample_type = profile
            .sample_type
            .as_ref()
            .ok_or(OtlpError::NoSampleType)?;
        let sample_type = pair(sample_type)?;
        let period_type = profile.period_type.as_ref().map(pair).transpose()?;
        let period_type = period_type.filter(|(name, _)| !name.is_empty());
        let with_period = period_type.filter(|_| profile.period != 0);
        let columns = |metric: &str, sample_type, factor| Self {
            metric: metric.to_owned(),
            sample_type,
            period_type,
            factor,
        };
        Ok(match (sample_type, with_period) {
            // Samples of a CPU become the time that they stand for.
            (("samples", "count"), Some(cpu @ ("cpu", "nanoseconds"))) => {
                columns("process_cpu", cpu, profile.period)
            }
            (_, Some((period, _))) => columns(period, sample_type, 1),
            ((name, _), None) => columns(name, sample_type, 1),
        })
    }

    /// A sample has a value for each of its timestamps, one for all of them, or
    /// none where each counts once.
    fn value(&self, sample: &Sample) -> Result<i64, OtlpError> {
        let sum = match (&*sample.values, sample.timestamps_unix_nano.len()) {
            ([], 0) => return Err(OtlpError::NoValue),
            ([], timestamps) => i64::try_from(timestamps).unwrap_or(i64::MAX),
            (values, _) => values
                .iter()
                .fold(0, |sum: i64, value| sum.saturating_add(*value)),
        };
        Ok(sum.saturating_mul(self.factor))
    }
}

/// The tables of a pprof in the making. Entries are those of the dictionary that
/// samples refer to.
struct Builder<'d> {
    dictionary: &'d Dictionary,
    limits: &'d Limits,
    profile: crate::Profile,
    strings: HashMap<String, i64>,
    mappings: HashMap<i32, u64>,
    locations: HashMap<i32, u64>,
    functions: HashMap<i32, u64>,
    /// About what the profile takes when encoded.
    bytes: usize,
}

impl<'d> Builder<'d> {
    fn new(dictionary: &'d Dictionary, limits: &'d Limits) -> Self {
        let mut builder = Self {
            dictionary,
            limits,
            profile: crate::Profile::default(),
            strings: HashMap::new(),
            mappings: HashMap::new(),
            locations: HashMap::new(),
            functions: HashMap::new(),
            bytes: 0,
        };
        builder.string("");
        builder
    }

    fn sample(&mut self, sample: &Sample, value: i64) -> Result<(), OtlpError> {
        let limit = self.limits.samples;
        if self.profile.sample.len() >= limit {
            let actual = self.profile.sample.len() + 1;
            return Err(PprofError::TooManySamples { actual, limit }.into());
        }
        let indices = match sample.stack_index {
            0 if self.dictionary.stack_table.is_empty() => &[][..],
            index => &at("stack", &self.dictionary.stack_table, index)?.location_indices,
        };
        // The frames next to the root are kept, which come last.
        let surplus = indices.len().saturating_sub(self.limits.stack_depth);
        let mut location_id = Vec::with_capacity(indices.len() - surplus);
        for index in &indices[surplus..] {
            location_id.push(self.location(*index)?);
        }
        let label = self.labels(sample)?;
        self.charge(8 + location_id.len() + 8 * label.len())?;
        self.profile.sample.push(v1::Sample {
            location_id,
            value: vec![value],
            label,
        });
        Ok(())
    }

    fn labels(&mut self, sample: &Sample) -> Result<Vec<v1::Label>, OtlpError> {
        let dictionary = self.dictionary;
        let limit = self.limits.sample_labels;
        if sample.attribute_indices.len() > limit {
            let actual = sample.attribute_indices.len();
            return Err(PprofError::TooManySampleLabels { actual, limit }.into());
        }
        let mut labels = Vec::new();
        for index in &sample.attribute_indices {
            let attribute = at("attribute", &dictionary.attribute_table, *index)?;
            let key = checked(dictionary, attribute.key_strindex)?;
            let value = attribute.value.as_ref();
            let value = value.map_or("", |value| text(value, dictionary));
            if key != SERVICE_NAME && !value.is_empty() {
                labels.push(self.label(key, value));
            }
        }
        if sample.link_index != 0 {
            let link = at("link", &dictionary.link_table, sample.link_index)?;
            for (name, id, length) in [
                ("span_id", &link.span_id, 8),
                ("trace_id", &link.trace_id, 16),
            ] {
                if id.len() == length {
                    labels.push(self.label(name, &hex(id)));
                }
            }
        }
        Ok(labels)
    }

    fn label(&mut self, key: &str, value: &str) -> v1::Label {
        v1::Label {
            key: self.string(key),
            str: self.string(value),
            ..v1::Label::default()
        }
    }

    fn location(&mut self, index: i32) -> Result<u64, OtlpError> {
        if let Some(id) = self.locations.get(&index) {
            return Ok(*id);
        }
        let location = at("location", &self.dictionary.location_table, index)?;
        let mapping_id = self.mapping(location.mapping_index)?;
        let mut lines = Vec::with_capacity(location.lines.len().min(self.limits.stack_depth));
        for line in &location.lines {
            lines.push(v1::Line {
                function_id: self.function(line.function_index)?,
                line: line.line,
            });
        }
        let id = self.profile.location.len() as u64 + 1;
        self.charge(8 + 4 * lines.len())?;
        self.profile.location.push(v1::Location {
            id,
            mapping_id,
            address: location.address,
            line: lines,
            ..v1::Location::default()
        });
        self.locations.insert(index, id);
        Ok(id)
    }

    fn mapping(&mut self, index: i32) -> Result<u64, OtlpError> {
        if let Some(id) = self.mappings.get(&index) {
            return Ok(*id);
        }
        let dictionary = self.dictionary;
        if index == 0 {
            return Ok(0);
        }
        let mapping = at("mapping", &dictionary.mapping_table, index)?;
        let build_id = attribute(&mapping.attribute_indices, dictionary, BUILD_ID)?;
        let id = self.profile.mapping.len() as u64 + 1;
        let mapping = v1::Mapping {
            id,
            memory_start: mapping.memory_start,
            memory_limit: mapping.memory_limit,
            file_offset: mapping.file_offset,
            filename: self.string(checked(dictionary, mapping.filename_strindex)?),
            build_id: self.string(build_id),
            ..v1::Mapping::default()
        };
        self.charge(16)?;
        self.profile.mapping.push(mapping);
        self.mappings.insert(index, id);
        Ok(id)
    }

    fn function(&mut self, index: i32) -> Result<u64, OtlpError> {
        if let Some(id) = self.functions.get(&index) {
            return Ok(*id);
        }
        let dictionary = self.dictionary;
        let function = at("function", &dictionary.function_table, index)?;
        let id = self.profile.function.len() as u64 + 1;
        let function = v1::Function {
            id,
            name: self.string(checked(dictionary, function.name_strindex)?),
            system_name: self.string(checked(dictionary, function.system_name_strindex)?),
            filename: self.string(checked(dictionary, function.filename_strindex)?),
            start_line: function.start_line,
        };
        self.charge(12)?;
        self.profile.function.push(function);
        self.functions.insert(index, id);
        Ok(id)
    }

    fn string(&mut self, text: &str) -> i64 {
        if let Some(index) = self.strings.get(text) {
            return *index;
        }
        let index = self.profile.string_table.len() as i64;
        self.bytes += text.len() + 2;
        self.profile.string_table.push(text.to_owned());
        self.strings.insert(text.to_owned(), index);
        index
    }

    /// Counts what the profile grows by.
    fn charge(&mut self, bytes: usize) -> Result<(), OtlpError> {
        self.bytes += bytes;
        let limit = self.limits.uncompressed_bytes;
        if self.bytes > limit {
            return Err(PprofError::TooLarge { limit }.into());
        }
        Ok(())
    }

    fn finish(mut self, profile: &Profile, columns: &Columns<'_>) -> crate::Profile {
        let mut value_type = |(kind, unit): (&str, &str)| v1::ValueType {
            r#type: self.string(kind),
            unit: self.string(unit),
        };
        let sample_type = vec![value_type(columns.sample_type)];
        let period_type = columns.period_type.map(value_type);
        crate::Profile {
            sample_type,
            period_type,
            period: profile.period,
            time_nanos: i64::try_from(profile.time_unix_nano).unwrap_or(i64::MAX),
            duration_nanos: i64::try_from(profile.duration_nano).unwrap_or(i64::MAX),
            ..self.profile
        }
    }
}

/// Returns the text of an attribute, empty if it is not there.
fn attribute<'d>(
    indices: &[i32],
    dictionary: &'d Dictionary,
    name: &str,
) -> Result<&'d str, OtlpError> {
    for index in indices {
        let attribute = at("attribute", &dictionary.attribute_table, *index)?;
        if checked(dictionary, attribute.key_strindex)? == name {
            let value = attribute.value.as_ref();
            return Ok(value.map_or("", |value| text(value, dictionary)));
        }
    }
    Ok("")
}

fn at<'t, T>(name: &'static str, table: &'t [T], index: i32) -> Result<&'t T, OtlpError> {
    let found = usize::try_from(index).ok().and_then(|at| table.get(at));
    found.ok_or(OtlpError::Index { table: name, index })
}

fn checked(dictionary: &Dictionary, index: i32) -> Result<&str, OtlpError> {
    let table = "string";
    string(dictionary, index).ok_or(OtlpError::Index { table, index })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
