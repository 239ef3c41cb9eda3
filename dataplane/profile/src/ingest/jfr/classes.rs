//! The classes of a chunk: how its events and constants are written.

use std::borrow::Cow;
use std::collections::HashMap;

use super::reader::{Malformed, Reader, Text};

/// Deepest element of metadata, and deepest value within a value; real ones have
/// five and two.
const MAX_DEPTH: usize = 16;

/// The classes by number.
#[derive(Debug, Default)]
pub(super) struct Classes<'b> {
    by_id: HashMap<u64, Class<'b>>,
}

#[derive(Debug, Default)]
pub(super) struct Class<'b> {
    pub(super) name: Cow<'b, str>,
    fields: Vec<Field<'b>>,
}

#[derive(Debug)]
struct Field<'b> {
    name: Cow<'b, str>,
    class: u64,
    /// The value is the number of a constant.
    constant: bool,
    array: bool,
    kind: Kind,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Varint,
    Fixed(usize),
    Text,
    /// Its fields, one after the other.
    Fields,
}

/// A value of a field, as far as it is of use.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'b> {
    /// A number, or the number of a constant.
    Number(u64),
    Text(Text<'b>),
}

impl<'b> Classes<'b> {
    /// Parses the content of a metadata event, after its head.
    pub(super) fn parse(reader: &mut Reader<'b>) -> Result<Self, Malformed> {
        // Start, duration and number of the metadata.
        for _ in 0..3 {
            reader.varint()?;
        }
        let mut strings = Vec::new();
        for _ in 0..reader.count()? {
            strings.push(reader.text()?);
        }
        let mut classes = Self::default();
        let mut parser = Elements {
            strings: &strings,
            classes: &mut classes,
            class: None,
        };
        parser.element(reader, 0)?;
        classes.resolve();
        Ok(classes)
    }

    /// Finds out how the fields are written.
    fn resolve(&mut self) {
        let kinds: HashMap<u64, Kind> = self
            .by_id
            .iter()
            .map(|(id, class)| (*id, Kind::of(&class.name)))
            .collect();
        for field in self.by_id.values_mut().flat_map(|class| &mut class.fields) {
            field.kind = match kinds.get(&field.class) {
                _ if field.constant => Kind::Varint,
                Some(kind) => *kind,
                None => Kind::Fields,
            };
        }
    }

    pub(super) fn get(&self, id: u64) -> Option<&Class<'b>> {
        self.by_id.get(&id)
    }

    /// Reads a value of a class and shows its fields by name; those that are
    /// arrays or have fields of their own are passed over.
    pub(super) fn read(
        &self,
        class: u64,
        reader: &mut Reader<'b>,
        mut see: impl FnMut(&str, Value<'b>),
    ) -> Result<(), Malformed> {
        let class = self.known(class, reader)?;
        if Kind::of(&class.name) == Kind::Text {
            see("", Value::Text(reader.text()?));
            return Ok(());
        }
        for field in &class.fields {
            match field.kind {
                Kind::Varint if !field.array => see(&field.name, Value::Number(reader.varint()?)),
                Kind::Text if !field.array => see(&field.name, Value::Text(reader.text()?)),
                _ => self.skip(field, reader, 0)?,
            }
        }
        Ok(())
    }

    /// Reads a value of a class that has an array of the given name, and shows
    /// the fields of its elements; a call without a value ends each element.
    pub(super) fn read_array(
        &self,
        class: u64,
        array: &str,
        reader: &mut Reader<'b>,
        mut see: impl FnMut(&str, Option<Value<'b>>),
    ) -> Result<(), Malformed> {
        for field in &self.known(class, reader)?.fields {
            if !(field.array && field.kind == Kind::Fields && field.name == array) {
                self.skip(field, reader, 0)?;
                continue;
            }
            for _ in 0..reader.count()? {
                self.read(field.class, reader, |name, value| see(name, Some(value)))?;
                see("", None);
            }
        }
        Ok(())
    }

    /// A class without fields takes no bytes, so a count of its values would be
    /// bounded by nothing.
    fn known(&self, class: u64, reader: &Reader<'b>) -> Result<&Class<'b>, Malformed> {
        let class = self.get(class);
        let class = class.filter(|c| !c.fields.is_empty() || Kind::of(&c.name) == Kind::Text);
        class.ok_or_else(|| reader.malformed("a class is not known"))
    }

    fn skip(
        &self,
        field: &Field<'b>,
        reader: &mut Reader<'b>,
        depth: usize,
    ) -> Result<(), Malformed> {
        let count = if field.array { reader.count()? } else { 1 };
        for _ in 0..count {
            match field.kind {
                Kind::Varint => drop(reader.varint()?),
                Kind::Fixed(length) => drop(reader.take(length)?),
                Kind::Text => drop(reader.text()?),
                Kind::Fields if depth < MAX_DEPTH => {
                    for inner in &self.known(field.class, reader)?.fields {
                        self.skip(inner, reader, depth + 1)?;
                    }
                }
                Kind::Fields => return Err(reader.malformed("classes are nested too deeply")),
            }
        }
        Ok(())
    }
}

impl Kind {
    fn of(class: &str) -> Self {
        match class {
            "boolean" | "byte" => Self::Fixed(1),
            "float" => Self::Fixed(4),
            "double" => Self::Fixed(8),
            "char" | "short" | "int" | "long" => Self::Varint,
            "java.lang.String" => Self::Text,
            _ => Self::Fields,
        }
    }
}

/// Reads the elements of metadata: name, attributes and children of each.
struct Elements<'s, 'b> {
    strings: &'s [Text<'b>],
    classes: &'s mut Classes<'b>,
    /// The class whose children are read.
    class: Option<u64>,
}

impl<'b> Elements<'_, 'b> {
    fn element(&mut self, reader: &mut Reader<'b>, depth: usize) -> Result<(), Malformed> {
        if depth > MAX_DEPTH {
            return Err(reader.malformed("elements are nested too deeply"));
        }
        let name = self.string(reader)?;
        let mut attributes = Vec::new();
        for _ in 0..reader.count()? {
            let key = self.string(reader)?;
            attributes.push((key, self.string(reader)?));
        }
        let attribute = |name: &str| {
            let found = attributes.iter().find(|(key, _)| key == name);
            found.map_or(Cow::Borrowed(""), |(_, value)| value.clone())
        };
        let number = |name: &str| attribute(name).parse().unwrap_or_default();
        let outer = self.class;
        match &*name {
            "class" => {
                let (id, name) = (number("id"), attribute("name"));
                let class = Class {
                    name,
                    fields: Vec::new(),
                };
                self.classes.by_id.insert(id, class);
                self.class = Some(id);
            }
            "field" => {
                let field = Field {
                    name: attribute("name"),
                    class: number("class"),
                    constant: attribute("constantPool") == "true",
                    array: !matches!(&*attribute("dimension"), "" | "0"),
                    kind: Kind::Fields,
                };
                let class = self.class.and_then(|id| self.classes.by_id.get_mut(&id));
                if let Some(class) = class {
                    class.fields.push(field);
                }
            }
            _ => {}
        }
        for _ in 0..reader.count()? {
            self.element(reader, depth + 1)?;
        }
        self.class = outer;
        Ok(())
    }

    fn string(&self, reader: &mut Reader<'b>) -> Result<Cow<'b, str>, Malformed> {
        let index = usize::try_from(reader.varint()?).ok();
        let text = index.and_then(|index| self.strings.get(index).copied());
        match text.ok_or_else(|| reader.malformed("a string of the metadata does not exist"))? {
            Text::Utf8(bytes) => Ok(String::from_utf8_lossy(bytes)),
            other => Ok(other.decode().into_owned().into()),
        }
    }
}
