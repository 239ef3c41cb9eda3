//! Inputs to start from: what real Go nodes have sent, as `dataplane/memberlist` keeps it for its tests.

use std::fs;
use std::path::{Path, PathBuf};

use memberlist::frame;
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../memberlist/tests/vectors")
}

/// Returns the recorded bytes whose file name satisfies `wanted`.
fn captures(wanted: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder()).expect("the captures can be listed");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the captures can be listed").path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.ends_with(".hex") && wanted(name))
        })
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| unhex(&fs::read_to_string(path).expect("a capture is text")))
        .collect()
}

/// Returns packets of both dialects, without the frame of dskit's transport.
pub(crate) fn packets() -> Vec<Vec<u8>> {
    let mut packets = captures(|name| name.contains("-udp-"));
    packets.extend(frames().iter().map(|bytes| {
        let frame = frame::decode(bytes).expect("captured frames are whole");
        frame.payload.to_vec()
    }));
    packets
}

/// Returns what packet connections of dskit carried after their first byte.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    let dskit = captures(|name| name.contains("-dskit-") && !name.contains("pushpull"));
    dskit.iter().map(|bytes| bytes[1..].to_vec()).collect()
}

/// Returns both sides of streams, without the first byte that dskit puts before them.
pub(crate) fn streams() -> Vec<Vec<u8>> {
    let opened = captures(|name| name.contains("-dskit-pushpull") && name.contains("client"));
    let mut streams: Vec<Vec<u8>> = opened.iter().map(|bytes| bytes[1..].to_vec()).collect();
    streams.extend(captures(|name| {
        name.contains("-tcp-") || name.contains("server")
    }));
    streams
}

/// Returns single messages, type byte first, at the boundaries of their encodings.
pub(crate) fn messages() -> Vec<Vec<u8>> {
    let path = folder().join("msgpack-vectors.json");
    let text = fs::read_to_string(path).expect("the vectors can be read");
    let vectors: Value = serde_json::from_str(&text).expect("the vectors are JSON");
    let vectors = vectors.as_array().expect("the vectors are a list");
    vectors
        .iter()
        .map(|vector| unhex(vector["Hex"].as_str().expect("a vector has bytes")))
        .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| (pair[0] * 16 + pair[1]) as u8)
        .collect()
}
