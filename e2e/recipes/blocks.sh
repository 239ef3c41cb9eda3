#!/usr/bin/env bash
# Installs DuckDB and pyarrow into $BLOCKS (build/blocks), and lets them read a block as
# docs/block-format.md says.
set -euo pipefail
cd "$(dirname "$0")/../.."
e2e/recipes/requirements.sh blocks

export BLOCKS=${BLOCKS:-$PWD/build/blocks}
requirements=e2e/blocks/requirements.txt
if ! sha256sum --check --status "$BLOCKS.sha256" 2>/dev/null || ! [[ -x $BLOCKS/bin/python ]]; then
    rm -rf "$BLOCKS" "$BLOCKS.sha256"
    mkdir -p "$(dirname "$BLOCKS")"
    "${PYTHON:-python3}" -m venv "$BLOCKS"
    "$BLOCKS/bin/pip" install --quiet --require-hashes --only-binary=:all: -r $requirements
    sha256sum $requirements >"$BLOCKS.sha256"
fi

cargo test --locked --workspace --test block_readers
