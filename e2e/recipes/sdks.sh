#!/usr/bin/env bash
# Builds the programs in e2e/sdks, each with the packages of its client, into $SDKS (build/sdks), and
# lets them push to a real process. UPDATE=1 makes what they send the fixtures of the tests; SDKS then
# is best a folder outside of anybody's home, for its name is in what they send.
set -euo pipefail
cd "$(dirname "$0")/../.."
e2e/recipes/requirements.sh sdks

export SDKS=${SDKS:-$PWD/build/sdks}
mkdir -p "$SDKS"

# changed FOLDER: whether a program differs from the one built last; `built` says that it is built.
changed() { ! sha256sum --check --status "$SDKS/$1.sha256" 2>/dev/null; }
built() { find "e2e/sdks/$1" -type f -print0 | xargs -0 sha256sum >"$SDKS/$1.sha256"; }

for program in agent api otlp; do
    (cd e2e/sdks/go && CGO_ENABLED=0 go build -trimpath -o "$SDKS/go/$program" "./$program")
done

CARGO_TARGET_DIR="$SDKS/target" cargo build --locked --quiet --release --manifest-path e2e/sdks/rust/Cargo.toml
install -D -t "$SDKS/rust" "$SDKS/target/release/pyroscope-rs"

if changed python; then
    rm -rf "$SDKS/python"
    "${PYTHON:-python3}" -m venv "$SDKS/python"
    "$SDKS/python/bin/pip" install --quiet --require-hashes --only-binary=:all: -r e2e/sdks/python/requirements.txt
    cp e2e/sdks/python/main.py "$SDKS/python/"
    built python
fi

if changed node; then
    rm -rf "$SDKS/node"
    mkdir "$SDKS/node"
    cp e2e/sdks/node/{main.js,package.json,package-lock.json} "$SDKS/node/"
    # The Node that runs it is one of its packages, for the client wants a later one than distributions
    # have. No scripts: they would look at the Node that runs npm.
    (cd "$SDKS/node" && npm ci --silent --no-audit --no-fund --ignore-scripts &&
        ln -s node_modules/node-linux-*/bin/node node)
    if ! "$SDKS/node/node" --version >/dev/null; then
        echo "no Node for $(uname -sm): add its package to the optional dependencies in e2e/sdks/node/package.json" >&2
        exit 1
    fi
    built node
fi

if changed java; then
    rm -rf "$SDKS/java"
    mkdir "$SDKS/java"
    mvn --quiet --batch-mode --file e2e/sdks/java/pom.xml dependency:copy-dependencies -DoutputDirectory="$SDKS/java" -Dmdep.stripVersion=true
    (cd "$SDKS/java" && sha256sum --check --quiet -) <e2e/sdks/java/agent.sha256
    javac -d "$SDKS/java" -cp "$SDKS/java/agent.jar" e2e/sdks/java/Busy.java
    built java
fi

cargo test --locked --workspace --test sdks
