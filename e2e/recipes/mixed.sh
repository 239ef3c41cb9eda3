#!/usr/bin/env bash
# Repeats the suite of mixed clusters $1 times (50) and stops at the first failure, whose output stays
# in build/mixed.log. Says how long the runs took.
set -euo pipefail
cd "$(dirname "$0")/../.."

times=${1:-50}
log=$PWD/build/mixed.log
mkdir -p build
program=$(cargo test --locked -p pyroscope-gossip --test interop --no-run --message-format=json |
    sed -n 's/.*"name":"interop".*"executable":"\([^"]*\)".*/\1/p')
[[ -n $program ]] || { echo "the suite did not build" >&2; exit 1; }

cd dataplane/gossip
shortest=999999 longest=0 total=0
for ((run = 1; run <= times; run++)); do
    began=$(date +%s%3N)
    # Most tests wait most of the time: more of them than there are cores.
    if ! "$program" --test-threads="${TEST_THREADS:-8}" >"$log" 2>&1; then
        grep -vE '^ +[0-9]+:|^ +at ' "$log" | tail -n 60
        echo "run $run of $times failed; the whole output is in $log" >&2
        exit 1
    fi
    took=$(($(date +%s%3N) - began))
    ((took < shortest)) && shortest=$took
    ((took > longest)) && longest=$took
    total=$((total + took))
    printf '%3d: %6d ms\n' "$run" "$took"
done
echo "$times runs passed: shortest $shortest ms, mean $((total / times)) ms, longest $longest ms"
