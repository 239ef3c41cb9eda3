//! The targets, by what they decode.

mod blocks;
mod digests;
mod formats;
mod machine;
mod plainly;
mod profiles;
mod requests;
mod rings;
mod sealed;
mod stores;
mod streams;
mod wire;

use crate::{Target, seeds};

macro_rules! target {
    ($name:literal, $check:path, $seeds:path) => {
        Target {
            name: $name,
            check: $check,
            seeds: $seeds,
        }
    };
}

pub(crate) const ALL: &[Target] = &[
    target!("frame", wire::frame, seeds::frames),
    target!("label", wire::label, seeds::packets),
    target!("packet", wire::packet, seeds::packets),
    target!("crc", wire::crc, seeds::messages),
    target!("compress", wire::compress, wire::compress_seeds),
    target!("compound", wire::compound, wire::compound_seeds),
    target!("message", wire::message, seeds::messages),
    target!("stream", streams::check, streams::seeds),
    target!("push_pull", streams::push_pull, seeds::streams),
    target!("encrypted", sealed::check, sealed::seeds),
    target!("machine", machine::check, machine::seeds),
    target!("key_value_pair", stores::message, stores::message_seeds),
    target!("full_state", stores::full_state, stores::full_state_seeds),
    target!("ring", rings::check, rings::seeds),
    target!("pprof", profiles::pprof, profiles::pprof_seeds),
    target!("tree", profiles::tree, profiles::tree_seeds),
    target!("folded", formats::folded, formats::folded_seeds),
    target!("trie", formats::trie, formats::trie_seeds),
    target!("call_tree", formats::call_tree, formats::call_tree_seeds),
    target!("speedscope", formats::speedscope, formats::speedscope_seeds),
    target!("recording", formats::recording, formats::recording_seeds),
    target!("otlp", formats::otlp, formats::otlp_seeds),
    target!("block", blocks::check, blocks::seeds),
    target!("text", profiles::text, profiles::text_seeds),
    target!("push_json", requests::json, requests::json_seeds),
    target!("push_proto", requests::proto, requests::proto_seeds),
    target!("digest", digests::check, digests::seeds),
];
