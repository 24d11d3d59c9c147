#!/usr/bin/env bash
# Installs the pinned anvil release beside this script (node_modules/, ignored by git) and prints the binary's path.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# The exact version pins the binary packages too: the wrapper names each of them by that same version.
npm install --no-package-lock --no-audit --no-fund --loglevel=error >/dev/null
# The npm package wraps the binary in a node script; the comparison starts the binary itself, so that the process
# whose CPU time is read is anvil and nothing else.
binary=$(find node_modules/@foundry-rs -path '*/bin/anvil' -type f | head -n 1)
if [ -z "$binary" ]; then
  echo "no anvil binary for this platform in the npm package" >&2
  exit 1
fi
echo "$PWD/$binary"
