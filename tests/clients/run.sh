#!/usr/bin/env bash
# Runs cast, viem, ethers and web3.py against a node: each deploys an ERC-20, transfers, reads balances and logs,
# watches Transfer events over WebSocket, estimates gas, and sends nonsense once, which must be refused.
#
#   run.sh BINARY                         starts BINARY on the real-time development chain
#   HTTP_URL=.. WS_URL=.. run.sh          uses a node that runs already, with the usual development accounts funded
#
# Installs the clients beside this script (ignored by git). Prints one line per client; fails if any client fails.
set -euo pipefail
# The path is the caller's, so it is resolved before the folder changes.
binary=${1:+$(realpath "$1")}
cd "$(dirname "${BASH_SOURCE[0]}")"

scratch=$(mktemp -d)
node_pid=
finish() {
  if [ -n "$node_pid" ]; then
    kill "$node_pid" 2>/dev/null || true
    wait "$node_pid" 2>/dev/null || true
  fi
  rm -rf "$scratch"
}
trap finish EXIT

install_clients() {
  # The wrapper packages name their platform binaries by exact version, so pinning them pins everything that runs.
  npm install --no-package-lock --no-audit --no-fund --loglevel=error >/dev/null
  [ -x venv/bin/pip ] || python3 -m venv venv
  venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
}

# The address in the start-up line with the given text.
bound_address() {
  sed -n "s/.*$1.*url=\([0-9.:]*\).*/\1/p" "$scratch/node.log" | head -n 1
}

start_node() {
  "$1" node --dev --chain realtime --http --ws --with-unused-ports --ipcdisable --color never \
    --log.file.max-files 0 --datadir "$scratch/data" >"$scratch/node.log" 2>&1 &
  node_pid=$!
  local http= ws=
  for _ in $(seq 600); do
    http=$(bound_address "RPC HTTP server started")
    ws=$(bound_address "RPC WS server started")
    [ -n "$http" ] && [ -n "$ws" ] && break
    if ! kill -0 "$node_pid" 2>/dev/null; then break; fi
    sleep 0.05
  done
  if [ -z "$http" ] || [ -z "$ws" ]; then
    echo "the node did not start:" >&2
    tail -n 20 "$scratch/node.log" >&2
    exit 1
  fi
  export HTTP_URL="http://$http" WS_URL="ws://$ws"
}

started=$SECONDS
install_clients
echo "clients installed in $((SECONDS - started)) s"

if [ -z "${HTTP_URL:-}" ]; then
  start_node "${binary:?usage: run.sh BINARY, or HTTP_URL and WS_URL in the environment}"
fi
export ARTIFACT="$PWD/../../bin/rapid-bench/contracts/artifacts/Token.json"

failed=0
run_client() {
  local name=$1 begin end
  shift
  begin=$(date +%s%N)
  if timeout 120 "$@" >"$scratch/$name.log" 2>&1; then
    end=$(date +%s%N)
    printf '%-8s ok      %6d ms\n' "$name" $(((end - begin) / 1000000))
  else
    end=$(date +%s%N)
    printf '%-8s FAILED  %6d ms\n' "$name" $(((end - begin) / 1000000))
    cat "$scratch/$name.log"
    failed=1
  fi
}

run_client cast ./cast.sh
run_client viem node viem.js
run_client ethers node ethers.js
run_client web3.py venv/bin/python web3_suite.py

if [ "$failed" != 0 ] && [ -n "$node_pid" ]; then
  echo "end of the node's log:"
  tail -n 30 "$scratch/node.log"
fi
exit "$failed"
