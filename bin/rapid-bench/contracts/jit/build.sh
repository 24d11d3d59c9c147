#!/usr/bin/env bash
# Compiles the contracts of the compiler's benchmark with the pinned npm solc and PyPI vyper.
#
#   build.sh           writes artifacts/*.hex
#   build.sh --check   compiles into a scratch folder and fails unless the committed artifacts are the same bytes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# solc is installed one folder up, where node finds it.
npm ci --prefix .. --no-audit --no-fund --loglevel=error >/dev/null
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt

compile() {
  node compile.mjs "$1"
  "$scratch/venv/bin/vyper" -f bytecode StableSwap.vy | sed 's/^0x//' >"$1/StableSwap.hex"
  echo "StableSwap.vy: StableSwap, $((($(wc -c <"$1/StableSwap.hex") - 1) / 2)) bytes of creation code"
}

case "${1:-}" in
  "")
    compile artifacts
    ;;
  --check)
    compile "$scratch/artifacts"
    diff -r "$scratch/artifacts" artifacts
    echo "artifacts are reproducible"
    ;;
  *)
    echo "usage: build.sh [--check]" >&2
    exit 2
    ;;
esac
