#!/usr/bin/env bash
# Runs published test vectors: tests/conformance/run.sh ARCHIVE_DIR [--sample N] [--seed S] [--only TEXT]
# ARCHIVE_DIR holds .tar.zst archives or unpacked .json files. `cargo doc` of tests/conformance/main.rs tells the rest.
set -euo pipefail
# Cargo runs the test in its package's folder, so paths are resolved here.
arguments=()
for argument in "$@"; do
  [ -e "$argument" ] && argument=$(realpath "$argument")
  arguments+=("$argument")
done
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# The whole workspace is selected so that dependencies keep the features they were built with.
exec cargo test --workspace --test conformance --quiet -- "${arguments[@]}"
