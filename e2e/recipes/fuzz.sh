#!/usr/bin/env bash
# Lets libFuzzer search every decoder, or those named as arguments, for FUZZ_SECONDS each (60). What
# it finds fails the recipe and is left as a file in build/fuzz/<target>/.
set -euo pipefail
cd "$(dirname "$0")/../.."

host=$(rustc -vV | sed -n 's/^host: //p')
built=target/fuzz

# The coverage that libFuzzer needs, which the stable compiler can be told to add. There is no
# sanitizer: our code is safe Rust, so what can go wrong panics, hangs or asks for memory.
coverage=(
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
    --cfg=fuzzing
)
RUSTFLAGS="${coverage[*]}" cargo build --locked --quiet --profile fuzz --target "$host" --target-dir $built \
    -p pyroscope-fuzz --features libfuzzer --bin fuzz

search() { # search TARGET
    local work=build/fuzz/$1
    mkdir -p "$work/corpus"
    if FUZZ_TARGET=$1 FUZZ_SEEDS=$work/corpus "$fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
        -max_len=16384 -artifact_prefix="$work/" -print_final_stats=1 "$work/corpus" >"$work/log" 2>&1; then
        awk -v target="$1" '/number_of_executed_units/ { runs = $2 } / cov: / { cov = $4 }
            END { printf "%-16s %9d inputs, %6d edges reached, nothing found\n", target, runs, cov }' "$work/log"
    else
        echo "$1: FAILED"
        grep -vE '^#|^INFO|^ +[0-9]+:|^ +at ' "$work/log" | tail -n 25
        echo "to run it again: FUZZ_TARGET=$1 $fuzz <the file named above>"
        return 1
    fi
}
export -f search
export seconds=${FUZZ_SECONDS:-60} fuzz=$built/$host/fuzz/fuzz

if (($#)); then targets=("$@"); else mapfile -t targets < <("$fuzz" 2>/dev/null); fi
((${#targets[@]})) || { echo "there is nothing to fuzz" >&2; exit 1; }
results=build/fuzz/results
mkdir -p build/fuzz
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'search {}' | tee $results || true
passed=$(grep -c 'nothing found$' $results || true)
echo "test result: $passed passed; $((${#targets[@]} - passed)) failed"
((passed == ${#targets[@]}))
