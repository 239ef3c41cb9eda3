//! Adding up pprofs.

use proto::google::v1::ValueType;

use crate::assembly::{Assembly, Moved, Source};
use crate::stack::Symbols;
use crate::{CallSite, Profile, ProfileType};

/// Merges one column of many pprofs into one profile of one sample type.
///
/// Strings, functions, locations and mappings occur once in the result, samples
/// once per stack and labels. Entries are numbered in the order in which they
/// were first seen, so equal inputs give equal bytes.
#[derive(Debug)]
pub struct PprofMerge {
    profile_type: ProfileType,
    assembly: Assembly,
}

impl PprofMerge {
    /// Starts a merge of profiles of one type.
    pub fn new(profile_type: &ProfileType) -> Self {
        Self {
            profile_type: profile_type.clone(),
            assembly: Assembly::default(),
        }
    }

    /// Adds the values of one column, of the stacks below a call site.
    ///
    /// Symbols that do not exist are left out.
    pub fn add(&mut self, profile: &Profile, column: usize, call_site: &CallSite) {
        let symbols = Symbols::new(profile);
        let source = Source::new(profile);
        let mut moved = Moved::default();
        let mut frames = Vec::new();
        for sample in &profile.sample {
            let Some(value) = sample.value.get(column).filter(|value| **value != 0) else {
                continue;
            };
            if !call_site.is_empty() {
                symbols.frames(sample, &mut frames);
                if !symbols.is_under(&frames, call_site) {
                    continue;
                }
            }
            self.assembly
                .add(&source, &mut moved, sample, &[*value], |_| true);
        }
    }

    /// Returns the merged profile; time, duration and period are left for the
    /// caller to set.
    pub fn finish(self) -> Profile {
        let Self {
            profile_type: of,
            mut assembly,
        } = self;
        let sample_type = ValueType {
            r#type: assembly.string(&of.sample_type),
            unit: assembly.string(&of.sample_unit),
        };
        let period_type = ValueType {
            r#type: assembly.string(&of.period_type),
            unit: assembly.string(&of.period_unit),
        };
        Profile {
            sample_type: vec![sample_type],
            period_type: Some(period_type),
            default_sample_type: sample_type.r#type,
            ..assembly.finish()
        }
    }
}
