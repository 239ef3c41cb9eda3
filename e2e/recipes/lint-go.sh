#!/usr/bin/env bash
# Checks format and suspicious code of every Go module.
set -euo pipefail
cd "$(dirname "$0")/../.."
for module in $(git ls-files 'e2e/**/go.mod'); do
    dir=$(dirname "$module")
    unformatted=$(gofmt -l "$dir")
    if [[ -n $unformatted ]]; then
        echo "not formatted: $unformatted; run gofmt -w $dir" >&2
        exit 1
    fi
    echo "go vet $dir"
    (cd "$dir" && CGO_ENABLED=0 go vet -trimpath ./...)
done
