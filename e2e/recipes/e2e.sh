#!/usr/bin/env bash
# Runs the end-to-end tests, or those whose name contains $1, on an embedded Kubernetes of their
# own. The pods' state is written to build/e2e-failure when a test fails; KEEP=1 leaves the cluster.
set -euo pipefail
cd "$(dirname "$0")/../.."

export CLUSTER_NAME=e2e
cluster=(${SUDO:-} "$PWD/build/bin/cluster")
failure=build/e2e-failure

# Builds first: inside the cluster's network there is no way to a registry.
executables() {
    cargo test --locked --workspace --test cluster --test chart --no-run --message-format=json |
        sed -n '/pyroscope-e2e@/s/.*"name":"\(cluster\|chart\)".*"executable":"\([^"]*\)".*/\2/p' | sort -r
}

collect() {
    mkdir -p $failure
    "${cluster[@]}" kubectl get all,pvc,pyroscopeclusters -A -o wide >$failure/objects.txt 2>&1
    "${cluster[@]}" kubectl get events -A --sort-by=.lastTimestamp >$failure/events.txt 2>&1
    "${cluster[@]}" kubectl describe pyroscopeclusters,pods -A >$failure/describe.txt 2>&1
    "${cluster[@]}" kubectl get pods -A --no-headers -o custom-columns=:metadata.namespace,:metadata.name |
        while read -r namespace pod; do
            "${cluster[@]}" kubectl logs -n "$namespace" "$pod" >"$failure/$namespace.$pod.log" 2>&1
            "${cluster[@]}" kubectl logs --previous -n "$namespace" "$pod" >"$failure/$namespace.$pod.previous.log" 2>/dev/null ||
                rm -f "$failure/$namespace.$pod.previous.log"
        done
    echo "the cluster's state at the end is in $failure"
}

mapfile -t tests < <(executables)
((${#tests[@]})) || { echo "the end-to-end tests did not build" >&2; exit 1; }
names=$(for test in "${tests[@]}"; do "$test" --list "$@"; done)
if [[ $names != *': test'* ]]; then
    echo "no end-to-end test has a name that contains: $*" >&2
    exit 1
fi
"${cluster[@]}" up
"${cluster[@]}" load-image build/images/*.tar
rm -rf $failure

result=0
for test in "${tests[@]}"; do
    "${cluster[@]}" exec -- env HELM="$PWD/build/bin/helm" KUBECTL=kubectl CARGO_MANIFEST_DIR="$PWD/e2e" \
        "$test" --test-threads=1 --nocapture "$@" || result=$?
done
((result == 0)) || collect || true
if [[ ${KEEP:-} == 1 ]]; then
    echo "kept: CLUSTER_NAME=e2e ${cluster[*]} kubectl get pods -A"
else
    "${cluster[@]}" down
fi
exit $result
