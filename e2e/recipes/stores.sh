#!/usr/bin/env bash
# Builds the object stores of e2e/stores into $STORES (build/stores): versitygw, which speaks S3, and
# Azurite, which speaks Azure Blob Storage; and lets buckets use them.
set -euo pipefail
cd "$(dirname "$0")/../.."
e2e/recipes/requirements.sh stores

export STORES=${STORES:-$PWD/build/stores}
mkdir -p "$STORES"

(cd e2e/stores && CGO_ENABLED=0 go build -trimpath -o "$STORES/versitygw" github.com/versity/versitygw/cmd/versitygw)

if ! sha256sum --check --status "$STORES/azurite.sha256" 2>/dev/null; then
    rm -rf "$STORES/azurite"
    mkdir "$STORES/azurite"
    cp e2e/stores/package.json e2e/stores/package-lock.json "$STORES/azurite/"
    # The Node that runs it is one of its packages, for it wants a later one than distributions have.
    # No scripts: they would look at the Node that runs npm.
    (cd "$STORES/azurite" && npm ci --silent --no-audit --no-fund --ignore-scripts &&
        ln -s node_modules/node-linux-*/bin/node node)
    if ! "$STORES/azurite/node" --version >/dev/null; then
        echo "no Node for $(uname -sm): add its package to the optional dependencies in e2e/stores/package.json" >&2
        exit 1
    fi
    sha256sum e2e/stores/package.json e2e/stores/package-lock.json >"$STORES/azurite.sha256"
fi

cargo test --locked --workspace --test bucket_servers
