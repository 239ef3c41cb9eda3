//! From events to samples.

use std::collections::HashMap;

use super::super::IngestError;
use super::super::stacks::{Frame, Name, ROOT, Stack};
use super::chunk::Chunk;
use super::classes::Value;
use super::profiles::{Correlation, Kind, Profiles};
use super::reader::{Malformed, Reader, Text};
use super::symbol;

/// The setting that says what a recording samples.
const EVENT_SETTING: &str = "event";
const SLEEPING: &str = "STATE_SLEEPING";

/// Why events end up in no profile.
#[derive(Debug)]
pub(super) enum EventError {
    Malformed(Malformed),
    Refused(IngestError),
}

impl From<Malformed> for EventError {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl From<IngestError> for EventError {
    fn from(error: IngestError) -> Self {
        Self::Refused(error)
    }
}

/// The events of one chunk. What they refer to is looked up once.
pub(super) struct Events<'c, 'b> {
    chunk: &'c Chunk<'b>,
    stacks: HashMap<u64, Option<Stack>>,
    methods: HashMap<u64, Option<Name>>,
    frames: Vec<(u64, u32)>,
}

/// Fields of an event that samples are made of.
#[derive(Debug, Default)]
struct Fields<'b> {
    stack_trace: u64,
    state: u64,
    correlation: Correlation,
    /// Bytes, ticks or samples.
    amount: u64,
    name: Option<Text<'b>>,
    value: Option<Text<'b>>,
}

impl<'c, 'b> Events<'c, 'b> {
    pub(super) fn new(chunk: &'c Chunk<'b>) -> Self {
        Self {
            chunk,
            stacks: HashMap::new(),
            methods: HashMap::new(),
            frames: Vec::new(),
        }
    }

    /// Adds one event to the profiles that it belongs to.
    pub(super) fn event(
        &mut self,
        class: u64,
        reader: &mut Reader<'b>,
        profiles: &mut Profiles,
    ) -> Result<(), EventError> {
        let chunk = self.chunk;
        let name = chunk.classes.get(class).map_or("", |class| &*class.name);
        let Some((kind, amount)) = meaning(name) else {
            return Ok(());
        };
        let fields = self.fields(class, amount, reader)?;
        let Some(kind) = kind else {
            self.setting(&fields, profiles);
            return Ok(());
        };
        let Some(stack) = self.stack(fields.stack_trace, profiles)? else {
            return Ok(());
        };
        let ticks = matches!(kind, Kind::Lock | Kind::Park);
        let amount = match ticks {
            true => chunk.nanoseconds(fields.amount),
            false => i64::try_from(fields.amount).unwrap_or(i64::MAX),
        };
        let mut add = |kind, values| profiles.add(kind, stack, fields.correlation, values);
        match kind {
            Kind::Cpu => {
                let state = chunk.pools.state(fields.state);
                if state.is_some_and(|state| state != SLEEPING) {
                    add(Kind::Cpu, [1, 0])?;
                }
                add(Kind::SampledWall, [1, 0])?;
            }
            Kind::Wall => add(kind, [amount, 0])?,
            Kind::Live => add(kind, [1, 0])?,
            _ => add(kind, [1, amount])?,
        }
        Ok(())
    }

    fn fields(
        &self,
        class: u64,
        amount: &str,
        reader: &mut Reader<'b>,
    ) -> Result<Fields<'b>, Malformed> {
        let mut fields = Fields::default();
        self.chunk
            .classes
            .read(class, reader, |field, value| match (field, value) {
                ("stackTrace", Value::Number(number)) => fields.stack_trace = number,
                ("state", Value::Number(number)) => fields.state = number,
                ("contextId", Value::Number(number)) => fields.correlation.context = number,
                ("spanId", Value::Number(number)) => fields.correlation.span = number,
                ("spanName", Value::Number(number)) => fields.correlation.span_name = number,
                ("name", Value::Text(text)) => fields.name = Some(text),
                ("value", Value::Text(text)) => fields.value = Some(text),
                (name, Value::Number(number)) if name == amount => fields.amount = number,
                _ => {}
            })?;
        Ok(fields)
    }

    fn setting(&self, fields: &Fields<'b>, profiles: &mut Profiles) {
        let pools = &self.chunk.pools;
        let (Some(name), Some(value)) = (&fields.name, &fields.value) else {
            return;
        };
        if pools.text(name) == EVENT_SETTING {
            profiles.set_event(&pools.text(value));
        }
    }

    /// Returns a stack of the chunk, `None` if it does not exist.
    fn stack(&mut self, key: u64, profiles: &mut Profiles) -> Result<Option<Stack>, EventError> {
        if let Some(stack) = self.stacks.get(&key) {
            return Ok(*stack);
        }
        let stack = match self.chunk.pools.stack_traces.get(&key) {
            Some((class, at)) => Some(self.read_stack(*class, *at, profiles)?),
            None => None,
        };
        self.stacks.insert(key, stack);
        Ok(stack)
    }

    fn read_stack(
        &mut self,
        class: u64,
        at: usize,
        profiles: &mut Profiles,
    ) -> Result<Stack, EventError> {
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        let (mut method, mut line) = (0, 0);
        let mut reader = self.chunk.reader(at);
        let classes = &self.chunk.classes;
        classes.read_array(class, "frames", &mut reader, |field, value| {
            match (field, value) {
                ("method", Some(Value::Number(number))) => method = number,
                ("lineNumber", Some(Value::Number(number))) => {
                    line = u32::try_from(number).unwrap_or(0);
                }
                (_, None) => frames.push((std::mem::take(&mut method), std::mem::take(&mut line))),
                _ => {}
            }
        })?;
        let mut stack = ROOT;
        // The caller comes last.
        for (method, line) in frames.iter().rev() {
            if let Some(name) = self.method(*method, profiles)? {
                let frame = Frame { name, line: *line };
                stack = profiles.stacks.child(stack, frame)?;
            }
        }
        self.frames = frames;
        Ok(stack)
    }

    /// Returns the name of a method, `None` if it or its class does not exist.
    fn method(&mut self, key: u64, profiles: &mut Profiles) -> Result<Option<Name>, EventError> {
        if let Some(name) = self.methods.get(&key) {
            return Ok(*name);
        }
        let pools = &self.chunk.pools;
        let found = pools.methods.get(&key);
        let found = found.and_then(|(class, name)| Some((pools.classes.get(class)?, name)));
        let name = match found {
            Some((class, name)) => {
                let class = symbol::merged(pools.symbol(*class));
                let name = symbol::merged(pools.symbol(*name));
                Some(profiles.stacks.name(&format!("{class}.{name}"))?)
            }
            None => None,
        };
        self.methods.insert(key, name);
        Ok(name)
    }
}

/// What the events of a class are, and their field that says how much; no kind
/// is a setting.
fn meaning(class: &str) -> Option<(Option<Kind>, &'static str)> {
    Some(match class {
        "jdk.ExecutionSample" => (Some(Kind::Cpu), ""),
        "profiler.WallClockSample" => (Some(Kind::Wall), "samples"),
        "jdk.ObjectAllocationInNewTLAB" => (Some(Kind::InTlab), "tlabSize"),
        "jdk.ObjectAllocationOutsideTLAB" => (Some(Kind::OutsideTlab), "allocationSize"),
        "jdk.ObjectAllocationSample" => (Some(Kind::AllocSample), "weight"),
        "jdk.JavaMonitorEnter" => (Some(Kind::Lock), "duration"),
        "jdk.ThreadPark" => (Some(Kind::Park), "duration"),
        "profiler.LiveObject" => (Some(Kind::Live), ""),
        "profiler.Malloc" => (Some(Kind::Malloc), "size"),
        "jdk.ActiveSetting" => (None, ""),
        _ => return None,
    })
}
