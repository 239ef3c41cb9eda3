#!/usr/bin/env bash
# From a Kubernetes to a queried profile; every step may be repeated. `make run` builds first.
set -euo pipefail
cd "$(dirname "$0")/../.."

namespace=default
name=quickstart
bin=build/bin
say() { echo; echo "==> $*"; }

# Names of the images that the manifests refer to are replaced by those given.
manifests() {
    "${kubectl[@]}" kustomize manifests/install |
        sed -e "s#image: pyroscope-operator:dev\$#image: $OPERATOR_IMAGE#" -e "s#value: pyroscope:dev\$#value: $IMAGE#"
}

# Starts the embedded Kubernetes and loads the images.
start_embedded() {
    export CLUSTER_NAME=dev
    cluster=($SUDO "$bin/cluster")
    kubectl=("${cluster[@]}" kubectl)
    inside=("${cluster[@]}" exec --)
    say "starting Kubernetes $("$bin/cluster" version) in namespaces of its own"
    "${cluster[@]}" up
    # Pods keep the image that they were started with: those of a changed image are replaced.
    if changed pyroscope; then
        "${kubectl[@]}" delete pods -n $namespace -l app.kubernetes.io/instance=$name >/dev/null 2>&1
    fi
    if changed pyroscope-operator; then
        "${kubectl[@]}" delete pods -n pyroscope-operator --all >/dev/null 2>&1
    fi
}

# Loads an image unless the cluster has it, and says whether it did.
changed() { # changed PROGRAM
    local image=build/images/$1.tar stamp=$CLUSTER_STATE/$CLUSTER_NAME/$1.sha256
    if sha256sum --check --status "$stamp" 2>/dev/null; then return 1; fi
    say "loading $image"
    "${cluster[@]}" load-image "$image"
    sha256sum "$image" | $SUDO tee "$stamp" >/dev/null
}

use_current() {
    command -v kubectl >/dev/null || { echo "kubectl is not installed" >&2; exit 1; }
    kubectl=(kubectl)
    inside=()
    if [[ $IMAGE == pyroscope:dev || $OPERATOR_IMAGE == pyroscope-operator:dev ]]; then
        say "the cluster must have the images pyroscope:dev and pyroscope-operator:dev loaded already;
    or push them to a registry (images/*/Containerfile) and give IMAGE= and OPERATOR_IMAGE="
    fi
    say "using the current kubeconfig: $(kubectl config current-context)"
}

wait_until_ready() {
    # Prints a line whenever the cluster's state changes.
    "${kubectl[@]}" get pyroscopecluster $name -n $namespace --watch &
    local watch=$!
    local result=0
    "${kubectl[@]}" wait pyroscopecluster/$name -n $namespace --for=condition=Ready --timeout=300s >/dev/null || result=$?
    kill $watch 2>/dev/null || true
    wait $watch 2>/dev/null || true
    if ((result)); then
        "${kubectl[@]}" get pods -n $namespace -o wide
        "${kubectl[@]}" describe pyroscopecluster $name -n $namespace | tail -n 40
        exit 1
    fi
}

# With the current kubeconfig the pods' addresses are out of reach: their ports are forwarded.
forward() {
    kubectl port-forward -n $namespace service/$name 4040:4040 >/dev/null &
    forwards=($!)
    kubectl port-forward -n $namespace service/$name-query 4041:4040 >/dev/null &
    forwards+=($!)
    trap 'kill "${forwards[@]}" 2>/dev/null' EXIT
    export PUSH_URL=http://127.0.0.1:4040 QUERY_URL=http://127.0.0.1:4041
    for port in 4040 4041; do
        for _ in $(seq 50); do (: </dev/tcp/127.0.0.1/$port) 2>/dev/null && break; sleep 0.2; done
    done
}

if [[ $CLUSTER == current ]]; then use_current; else start_embedded; fi

say "installing the operator"
manifests | "${kubectl[@]}" apply --server-side --force-conflicts -f - >/dev/null
"${kubectl[@]}" wait --for=condition=Established crd/pyroscopeclusters.pyroscope-operator.dev --timeout=30s >/dev/null
"${kubectl[@]}" rollout status -n pyroscope-operator deployment/pyroscope-operator --timeout=120s

say "applying manifests/samples/quickstart.yaml"
"${kubectl[@]}" apply --server-side -f manifests/samples/quickstart.yaml
wait_until_ready

if [[ $CLUSTER == current ]]; then forward; fi
"${inside[@]}" "$PWD/target/debug/quickstart"

say "kubectl get pyroscopeclusters"
"${kubectl[@]}" get pyroscopeclusters -n $namespace
cat <<TEXT

Try next:
  ${kubectl[*]} get pods
  ${kubectl[*]} describe pyroscopecluster $name
  ${kubectl[*]} scale pyroscopecluster $name --replicas=5
  ${kubectl[*]} delete pod $name-ingester-0        (nothing is lost)
  ${kubectl[*]} explain pyroscopecluster.spec
TEXT
if [[ $CLUSTER != current ]]; then
    echo "  ${inside[*]} curl -s http://$name.$namespace.svc.cluster.local:4040/ring"
    echo "  make clean-cluster"
fi
