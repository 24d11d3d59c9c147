#!/usr/bin/env bash
# foundry's cast. Development account 1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

cast() { "$cast_binary" "$@"; }
cast_binary=$(find node_modules/@foundry-rs -path '*/bin/cast' -type f | head -n 1)
key=0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d
to=0x00000000000000000000000000000000000c0a57
export ETH_RPC_URL=$HTTP_URL

fail() {
  echo "$1" >&2
  exit 1
}

scratch=$(mktemp -d)
watcher=
trap '[ -n "$watcher" ] && kill "$watcher" 2>/dev/null; rm -rf "$scratch"' EXIT

[ "$(cast chain-id)" -gt 0 ] || fail "no chain id"
code=0x$(node -p 'JSON.parse(require("fs").readFileSync(process.env.ARTIFACT)).bytecode')
token=$(cast send --private-key "$key" --json --create "$code" \
  "constructor(string,string,uint256)" Cast CST 1000000 | node -p 'JSON.parse(require("fs").readFileSync(0)).contractAddress')
[ "$(cast call "$token" 'symbol()(string)')" = '"CST"' ] || fail "symbol"

gas=$(cast estimate --from "$(cast wallet address "$key")" "$token" 'transfer(address,uint256)' "$to" 7)
[ "$gas" -gt 21000 ] || fail "estimate of $gas gas"

# The binary itself, not the function: the watcher to be killed is then this very process.
"$cast_binary" logs --subscribe --rpc-url "$WS_URL" --address "$token" \
  'Transfer(address indexed,address indexed,uint256)' --json >"$scratch/events" 2>&1 &
watcher=$!
# The subscription has no sign of being ready: send transfers until one is seen. The deployment's own event may be the
# first one, so only an event with the receiver counts.
transfers=0
for _ in $(seq 50); do
  block=$(cast send --private-key "$key" --json "$token" 'transfer(address,uint256)' "$to" 7 \
    | node -p 'const r = JSON.parse(require("fs").readFileSync(0)); if (r.status !== "0x1") process.exit(1); Number(r.blockNumber)')
  transfers=$((transfers + 1))
  for _ in $(seq 20); do
    grep -qi "${to#0x}" "$scratch/events" && break 2
    sleep 0.1
  done
done
grep -qi "${to#0x}" "$scratch/events" || fail "no Transfer event over WebSocket: $(cat "$scratch/events")"

[ "$(cast call "$token" 'balanceOf(address)(uint256)' "$to")" = $((7 * transfers)) ] || fail "balance"

for _ in $(seq 100); do
  [ "$(cast block-number)" -ge "$block" ] && break
  sleep 0.1
done
logs=$(cast logs --json --from-block 0 --address "$token" 'Transfer(address,address,uint256)' | node -p 'JSON.parse(require("fs").readFileSync(0)).length')
# One from the deployment.
[ "$logs" = $((transfers + 1)) ] || fail "$logs logs after $transfers transfers"

if cast publish 0xdeadbeef >"$scratch/nonsense" 2>&1; then fail "nonsense was accepted"; fi
grep -qi "error code -32" "$scratch/nonsense" || fail "nonsense: $(cat "$scratch/nonsense")"
