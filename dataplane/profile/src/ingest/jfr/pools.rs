//! What events refer to by number.

use std::borrow::Cow;
use std::collections::HashMap;

use super::classes::{Classes, Value};
use super::reader::{Malformed, Reader, Text};

/// Most constants kept of a chunk; those of large programs are some 100,000.
const MAX_CONSTANTS: usize = 1 << 20;

/// Constants of the classes that stacks are made of.
#[derive(Debug, Default)]
pub(super) struct Pools<'b> {
    /// Class and offset of each stack trace.
    pub(super) stack_traces: HashMap<u64, (u64, usize)>,
    /// Class and name of each method.
    pub(super) methods: HashMap<u64, (u64, u64)>,
    /// Name of each class.
    pub(super) classes: HashMap<u64, u64>,
    symbols: HashMap<u64, Text<'b>>,
    strings: HashMap<u64, Text<'b>>,
    states: HashMap<u64, Text<'b>>,
    count: usize,
}

impl<'b> Pools<'b> {
    /// Adds the constants of a checkpoint event, after its head.
    pub(super) fn checkpoint(
        &mut self,
        classes: &Classes<'b>,
        reader: &mut Reader<'b>,
    ) -> Result<(), Malformed> {
        // Start, duration and the offset of the next checkpoint.
        for _ in 0..3 {
            reader.varint()?;
        }
        reader.byte()?;
        for _ in 0..reader.count()? {
            let class = reader.varint()?;
            for _ in 0..reader.count()? {
                let key = reader.varint()?;
                self.constant(classes, class, key, reader)?;
            }
        }
        Ok(())
    }

    fn constant(
        &mut self,
        classes: &Classes<'b>,
        class: u64,
        key: u64,
        reader: &mut Reader<'b>,
    ) -> Result<(), Malformed> {
        let start = reader.at();
        let (mut kind, mut name, mut text) = (0, 0, Text::Empty);
        classes.read(class, reader, |field, value| match (field, value) {
            ("type", Value::Number(number)) => kind = number,
            ("name", Value::Number(number)) => name = number,
            ("string" | "name" | "", Value::Text(value)) => text = value,
            _ => {}
        })?;
        let of = classes.get(class).map_or("", |class| &class.name);
        match of {
            "jdk.types.StackTrace" => drop(self.stack_traces.insert(key, (class, start))),
            "jdk.types.Method" => drop(self.methods.insert(key, (kind, name))),
            "java.lang.Class" => drop(self.classes.insert(key, name)),
            "jdk.types.Symbol" => drop(self.symbols.insert(key, text)),
            "java.lang.String" => drop(self.strings.insert(key, text)),
            "jdk.types.ThreadState" => drop(self.states.insert(key, text)),
            _ => return Ok(()),
        }
        self.count += 1;
        if self.count > MAX_CONSTANTS {
            return Err(reader.malformed("there are too many constants"));
        }
        Ok(())
    }

    /// Returns a symbol; one that does not exist is empty.
    pub(super) fn symbol(&self, key: u64) -> Cow<'_, str> {
        self.symbols
            .get(&key)
            .map_or(Cow::Borrowed(""), |text| self.text(text))
    }

    /// Returns the name of a thread state.
    pub(super) fn state(&self, key: u64) -> Option<Cow<'_, str>> {
        self.states.get(&key).map(|text| self.text(text))
    }

    /// Decodes a text, or the one that it refers to.
    pub(super) fn text<'t>(&'t self, text: &'t Text<'b>) -> Cow<'t, str> {
        match text {
            Text::Pooled(key) => match self.strings.get(key) {
                Some(found) => found.decode(),
                None => "".into(),
            },
            text => text.decode(),
        }
    }
}
