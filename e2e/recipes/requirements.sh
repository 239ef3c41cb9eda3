#!/usr/bin/env bash
# Installs what the recipes need and this machine lacks, and says what it does. With the argument
# `sdks` that includes the languages of the clients in e2e/sdks, with `stores` that of the object stores
# in e2e/stores, with `blocks` that of the readers in e2e/blocks.
set -euo pipefail

say() { echo "==> $*"; }

# Debian package of each program, or file, that is needed.
packages=()
need() { # need PACKAGE PROGRAM-OR-FILE
    if [[ $2 == /* ]]; then [[ -e $2 ]] || packages+=("$1"); return; fi
    PATH=$PATH:/usr/sbin:/sbin command -v "$2" >/dev/null || packages+=("$1")
}
need gcc cc
need g++ c++
need libc6-dev /usr/include/stdlib.h
need ca-certificates /etc/ssl/certs/ca-certificates.crt
if [[ ${CLUSTER:-embedded} != current ]]; then
    need containerd containerd
    need runc runc
    need containernetworking-plugins /usr/lib/cni/bridge
    need iptables iptables
    need nftables nft
    need conntrack conntrack
    need kmod modprobe
fi
if [[ ${1:-} == sdks ]]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
    need npm npm # any version; the Node that runs the program is one of its packages
    need default-jdk-headless javac
    need maven mvn
fi

if [[ ${1:-} == stores ]]; then
    need npm npm # any version; the Node that runs the store is one of its packages
fi

if [[ ${1:-} == blocks ]]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
fi

if ((${#packages[@]})); then
    if ! command -v apt-get >/dev/null; then
        echo "missing: ${packages[*]} (Debian's names); install them, apt-get is not here to do it" >&2
        exit 1
    fi
    say "installing Debian packages: ${packages[*]}"
    sudo=()
    ((EUID == 0)) || sudo=(sudo)
    export DEBIAN_FRONTEND=noninteractive
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null
fi

if ! command -v cargo >/dev/null; then
    echo "missing: Rust; install rustup from https://rustup.rs (rust-toolchain.toml then picks the version)" >&2
    exit 1
fi
if [[ ${CLUSTER:-embedded} != current ]]; then
    # Any Go since 1.21 fetches the version that go.mod asks for by itself.
    if ! command -v go >/dev/null; then
        echo "missing: Go 1.21 or later; install it from https://go.dev/dl" >&2
        exit 1
    fi
fi
