use proto::google::v1::Profile;

use crate::stack::Ids;

/// Drops what no sample references and numbers the rest densely. Locations of
/// samples are positions here, not ids.
pub(super) fn prune(profile: &mut Profile, functions: &Ids) {
    let mut locations = Renumber::new(profile.location.len());
    for sample in &profile.sample {
        for at in &sample.location_id {
            locations.mark(*at as usize);
        }
    }
    locations.number();
    locations.keep(&mut profile.location);

    let mappings = Ids::new(profile.mapping.iter().map(|m| m.id));
    let mut used_functions = Renumber::new(profile.function.len());
    let mut used_mappings = Renumber::new(profile.mapping.len());
    for location in &profile.location {
        for line in &location.line {
            if let Some(at) = functions.position(line.function_id) {
                used_functions.mark(at);
            }
        }
        if let Some(at) = mappings.position(location.mapping_id) {
            used_mappings.mark(at);
        }
    }
    used_functions.number();
    used_mappings.number();
    for (at, location) in profile.location.iter_mut().enumerate() {
        location.id = at as u64 + 1;
        let mapping = mappings.position(location.mapping_id);
        location.mapping_id = mapping.map_or(0, |at| used_mappings.id(at));
        for line in &mut location.line {
            let function = functions.position(line.function_id);
            line.function_id = function.map_or(0, |at| used_functions.id(at));
        }
    }
    used_functions.keep(&mut profile.function);
    used_mappings.keep(&mut profile.mapping);
    for (id, function) in (1..).zip(&mut profile.function) {
        function.id = id;
    }
    for (id, mapping) in (1..).zip(&mut profile.mapping) {
        mapping.id = id;
    }
    for sample in &mut profile.sample {
        for at in &mut sample.location_id {
            *at = locations.id(*at as usize);
        }
    }
    prune_strings(profile);
}

fn prune_strings(profile: &mut Profile) {
    if profile.string_table.is_empty() {
        profile.string_table.push(String::new());
    }
    let mut strings = Renumber::new(profile.string_table.len());
    strings.mark(0);
    for_each_string(profile, |index| match usize::try_from(*index) {
        Ok(at) if at < strings.len() => strings.mark(at),
        _ => *index = 0,
    });
    strings.number();
    for_each_string(profile, |index| {
        *index = strings.id(*index as usize) as i64 - 1
    });
    strings.keep(&mut profile.string_table);
}

fn for_each_string(profile: &mut Profile, mut visit: impl FnMut(&mut i64)) {
    for column in profile
        .sample_type
        .iter_mut()
        .chain(&mut profile.period_type)
    {
        visit(&mut column.r#type);
        visit(&mut column.unit);
    }
    for sample in &mut profile.sample {
        for label in &mut sample.label {
            visit(&mut label.key);
            visit(&mut label.str);
            visit(&mut label.num_unit);
        }
    }
    for mapping in &mut profile.mapping {
        visit(&mut mapping.filename);
        visit(&mut mapping.build_id);
    }
    for function in &mut profile.function {
        visit(&mut function.name);
        visit(&mut function.system_name);
        visit(&mut function.filename);
    }
    profile.comment.iter_mut().for_each(&mut visit);
    visit(&mut profile.drop_frames);
    visit(&mut profile.keep_frames);
    visit(&mut profile.default_sample_type);
}

/// Which entries of a table are used, and their ids once the others are gone.
struct Renumber {
    /// 0: unused; before [`Renumber::number`] any other value means used.
    ids: Vec<u64>,
}

impl Renumber {
    fn new(len: usize) -> Self {
        Self { ids: vec![0; len] }
    }

    fn len(&self) -> usize {
        self.ids.len()
    }

    fn mark(&mut self, at: usize) {
        self.ids[at] = 1;
    }

    fn number(&mut self) {
        let used = self.ids.iter_mut().filter(|id| **id != 0);
        for (next, id) in (1..).zip(used) {
            *id = next;
        }
    }

    fn id(&self, at: usize) -> u64 {
        self.ids[at]
    }

    fn keep<T>(&self, table: &mut Vec<T>) {
        let mut ids = self.ids.iter();
        table.retain(|_| ids.next().is_some_and(|id| *id != 0));
    }
}
