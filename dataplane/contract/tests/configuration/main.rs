//! The configuration as operators and users meet it: flags, YAML, messages, the reference page.

mod args;
mod duration;
mod overrides;
mod properties;
mod reference;
mod relabel;
mod report;
mod storage;
mod table;
mod validation;
mod yaml;
