use proto::google::v1::{Label, ValueType};

use super::PprofError;
use super::view::{Function, Line, Location, Mapping, Row, Span, View};
use super::wire::{Malformed, Reader};

/// An empty sample takes 2 bytes on the wire and 24 in memory. Real entries have
/// 10 bytes and more, so that a profile full of smaller ones is an attack.
const MIN_ENTRY_BYTES: usize = 8;

/// Reads a pprof without compression into a view. What the format does not know
/// is passed over.
///
/// # Errors
/// Broken bytes, or more entries than `max_bytes` can honestly hold.
pub(super) fn walk(plain: &[u8], max_bytes: usize, view: &mut View) -> Result<(), PprofError> {
    view.clear();
    let limit = max_bytes / MIN_ENTRY_BYTES;
    let mut message = Reader::new(plain);
    for _ in 0..=limit {
        if !field(plain, &mut message, view)? {
            return Ok(());
        }
    }
    Err(PprofError::TooManyEntries { limit })
}

/// Takes one field; false at the end.
fn field(plain: &[u8], message: &mut Reader<'_>, view: &mut View) -> Result<bool, Malformed> {
    let Some(key) = message.key()? else {
        return Ok(false);
    };
    let header = &mut view.header;
    match key.number() {
        1 => {
            let mut of = ValueType::default();
            value_type(message.bytes(key)?, &mut of)?;
            view.sample_types.push(of);
        }
        2 => sample(message.bytes(key)?, view)?,
        3 => view.mappings.push(mapping(message.bytes(key)?)?),
        4 => location(message.bytes(key)?, view)?,
        5 => view.functions.push(function(message.bytes(key)?)?),
        6 => {
            let text = message.bytes(key)?;
            if std::str::from_utf8(text).is_err() {
                return Err(Malformed::Utf8(view.strings.len()));
            }
            let end = plain.len() - message.remaining();
            view.strings.push(span(end - text.len(), end));
        }
        7 => header.drop_frames = message.signed(key)?,
        8 => header.keep_frames = message.signed(key)?,
        9 => header.time_nanos = message.signed(key)?,
        10 => header.duration_nanos = message.signed(key)?,
        // A message that occurs again adds to what is there.
        11 => value_type(
            message.bytes(key)?,
            header.period_type.get_or_insert_default(),
        )?,
        12 => header.period = message.signed(key)?,
        13 => message.numbers(key, &mut view.comments, |index| index as i64)?,
        14 => header.default_sample_type = message.signed(key)?,
        _ => message.skip(key)?,
    }
    Ok(true)
}

/// A range of a table; [`View::decode`] refuses what 32 bits cannot count.
fn span(start: usize, end: usize) -> Span {
    Span {
        start: start as u32,
        end: end as u32,
    }
}

fn value_type(message: &[u8], of: &mut ValueType) -> Result<(), Malformed> {
    let mut message = Reader::new(message);
    while let Some(key) = message.key()? {
        match key.number() {
            1 => of.r#type = message.signed(key)?,
            2 => of.unit = message.signed(key)?,
            _ => message.skip(key)?,
        }
    }
    Ok(())
}

fn sample(message: &[u8], view: &mut View) -> Result<(), Malformed> {
    let stack = view.location_ids.len();
    let values = view.values.len();
    let labels = view.labels.len();
    let mut message = Reader::new(message);
    while let Some(key) = message.key()? {
        match key.number() {
            1 => message.numbers(key, &mut view.location_ids, |id| id)?,
            2 => message.numbers(key, &mut view.values, |value| value as i64)?,
            3 => view.labels.push(label(message.bytes(key)?)?),
            _ => message.skip(key)?,
        }
    }
    view.samples.push(Row {
        stack: span(stack, view.location_ids.len()),
        values: span(values, view.values.len()),
        labels: span(labels, view.labels.len()),
    });
    Ok(())
}

fn label(message: &[u8]) -> Result<Label, Malformed> {
    let mut label = Label::default();
    let mut message = Reader::new(message);
    while let Some(key) = message.key()? {
        match key.number() {
            1 => label.key = message.signed(key)?,
            2 => label.str = message.signed(key)?,
            3 => label.num = message.signed(key)?,
            4 => label.num_unit = message.signed(key)?,
            _ => message.skip(key)?,
        }
    }
    Ok(label)
}

fn mapping(message: &[u8]) -> Result<Mapping, Malformed> {
    let mut mapping = Mapping::default();
    let mut message = Reader::new(message);
    while let Some(key) = message.key()? {
        match key.number() {
            1 => mapping.id = message.number(key)?,
            2 => mapping.memory_start = message.number(key)?,
            3 => mapping.memory_limit = message.number(key)?,
            4 => mapping.file_offset = message.number(key)?,
            5 => mapping.filename = message.signed(key)?,
            6 => mapping.build_id = message.signed(key)?,
            7 => mapping.has_functions = message.number(key)? != 0,
            8 => mapping.has_filenames = message.number(key)? != 0,
            9 => mapping.has_line_numbers = message.number(key)? != 0,
            10 => mapping.has_inline_frames = message.number(key)? != 0,
            _ => message.skip(key)?,
        }
    }
    Ok(mapping)
}

fn location(message: &[u8], view: &mut View) -> Result<(), Malformed> {
    let lines = view.lines.len();
    let mut location = Location::default();
    let mut message = Reader::new(message);
    while let Some(key) = message.key()? {
        match key.number() {
            1 => location.id = message.number(key)?,
            2 => location.mapping_id = message.number(key)?,
            3 => location.address = message.number(key)?,
            4 => view.lines.push(line(message.bytes(key)?)?),
            5 => location.is_folded = message.number(key)? != 0,
            _ => message.skip(key)?,
        }
    }
    location.lines = span(lines, view.lines.len());
    view.locations.push(location);
    Ok(())
}

fn line(message: &[u8]) -> Result<Line, Malformed> {
    let mut line = Line::default();
    let mut message = Reader::new(message);
    while let Some(key) = message.key()? {
        match key.number() {
            1 => line.function_id = message.number(key)?,
            2 => line.line = message.signed(key)?,
            _ => message.skip(key)?,
        }
    }
    Ok(line)
}

fn function(message: &[u8]) -> Result<Function, Malformed> {
    let mut function = Function::default();
    let mut message = Reader::new(message);
    while let Some(key) = message.key()? {
        match key.number() {
            1 => function.id = message.number(key)?,
            2 => function.name = message.signed(key)?,
            3 => function.system_name = message.signed(key)?,
            4 => function.filename = message.signed(key)?,
            5 => function.start_line = message.signed(key)?,
            _ => message.skip(key)?,
        }
    }
    Ok(function)
}
