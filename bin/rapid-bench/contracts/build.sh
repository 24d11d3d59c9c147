#!/usr/bin/env bash
# Compiles the benchmark contracts with the pinned npm solc.
#
#   build.sh           writes artifacts/*.json, and those of the compiler's benchmark (jit/build.sh)
#   build.sh --check   compiles into a scratch folder and fails unless the committed artifacts are the same bytes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

npm ci --no-audit --no-fund --loglevel=error >/dev/null

case "${1:-}" in
  "")
    node compile.mjs artifacts
    jit/build.sh
    ;;
  --check)
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    node compile.mjs "$scratch"
    diff -r "$scratch" artifacts
    echo "artifacts are reproducible"
    jit/build.sh --check
    ;;
  *)
    echo "usage: build.sh [--check]" >&2
    exit 2
    ;;
esac
