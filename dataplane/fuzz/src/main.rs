//! Runs one target under libFuzzer: `FUZZ_TARGET=<name> fuzz <libFuzzer's flags> <corpus>`; without a name, or
//! with an unknown one, it prints the names. `FUZZ_SEEDS=<folder>` writes the target's seeds there first.

#![no_main]

use std::alloc::System;
use std::path::Path;
use std::sync::LazyLock;

use cap::Cap;
use pyroscope_fuzz::{TARGETS, Target, target};

/// The most that one input may make the program hold, whatever it announces. The largest honest need is a
/// message at the limit of 21 MiB, decompressed, in pieces and encoded again for the check.
const MEMORY: usize = 192 * 1024 * 1024;

// An allocation beyond the limit fails, which aborts, which libFuzzer reports with the input.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, MEMORY);

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| {
        TARGETS
            .iter()
            .for_each(|target| println!("{}", target.name));
        std::process::exit(if name.is_empty() { 0 } else { 1 });
    })
});

libfuzzer_sys::fuzz_target!(
    init: {
        let seeds = (TARGET.seeds)();
        if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
            write(Path::new(&folder), &seeds);
        }
    },
    |data: &[u8]| (TARGET.check)(data)
);

fn write(folder: &Path, seeds: &[Vec<u8>]) {
    for (index, seed) in seeds.iter().enumerate() {
        let path = folder.join(format!("seed-{index:03}"));
        std::fs::write(&path, seed)
            .unwrap_or_else(|error| panic!("cannot write the seed {}: {error}", path.display()));
    }
}
