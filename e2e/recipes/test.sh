#!/usr/bin/env bash
# Runs the suites named as arguments, all of them whatever fails, and sums up. The last line is
# "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.."
logs=build/test
mkdir -p $logs
export INSTA_UPDATE=no
# Nothing is built a second time there, and what is kept for that takes gigabytes.
if [[ ${CI:-} == true ]]; then export CARGO_INCREMENTAL=0; fi

# Always the whole workspace: with fewer packages, cargo unites features differently and builds
# the dependencies a second time.
suite_rust() { cargo test --locked --workspace --no-fail-fast; }
suite_go() {
    local result=0
    for module in cluster helm; do
        (cd e2e/$module && CGO_ENABLED=0 go test -trimpath -v ./...) || result=1
    done
    return $result
}
# A few seconds for each decoder; `make fuzz` gives them more.
suite_fuzz() { FUZZ_SECONDS=${FUZZ_SECONDS:-2} e2e/recipes/fuzz.sh; }
suite_sdks() { e2e/recipes/sdks.sh; }
suite_stores() { e2e/recipes/stores.sh; }
suite_blocks() { e2e/recipes/blocks.sh; }
suite_e2e() { make --no-print-directory embedded && e2e/recipes/e2e.sh; }

# Adds up what cargo and go report: "test result: ok. 3 passed; 1 failed; ...", "--- PASS: ...".
count() { # count passed|failed LOG
    awk -v what="$1" '
        /^test result:/ { for (i = 2; i <= NF; i++) if ($i ~ "^" what) sum += $(i - 1) }
        what == "passed" && /^--- PASS/ { sum++ }
        what == "failed" && /^--- FAIL/ { sum++ }
        END { print sum + 0 }' "$2"
}

total_passed=0
total_failed=0
summary=()
for suite in "$@"; do
    echo "==> suite $suite"
    began=$SECONDS
    suite_$suite 2>&1 | tee $logs/$suite.log
    status=${PIPESTATUS[0]}
    passed=$(count passed $logs/$suite.log)
    failed=$(count failed $logs/$suite.log)
    # What did not even build, or ran no test, has failed.
    if ((failed == 0 && (status != 0 || passed == 0))); then failed=1; fi
    total_passed=$((total_passed + passed))
    total_failed=$((total_failed + failed))
    summary+=("$(printf '%-6s %5d passed %5d failed %5d s   %s' "$suite" "$passed" "$failed" $((SECONDS - began)) "$logs/$suite.log")")
done

echo
grep -hE '^test .* FAILED$|^--- FAIL' $logs/*.log 2>/dev/null
printf '%s\n' "${summary[@]}"
echo "disk: $(du -shcL target build 2>/dev/null | awk 'END { print $1 }') built, $(df -h --output=avail . | tail -n 1 | tr -d ' ') left"
echo "$total_passed passed, $total_failed failed"
((total_failed == 0))
