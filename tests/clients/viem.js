// viem. Development account 2.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createPublicClient, createWalletClient, defineChain, http, webSocket } from "viem";
import { mnemonicToAccount } from "viem/accounts";

const artifact = JSON.parse(readFileSync(process.env.ARTIFACT, "utf8"));
const account = mnemonicToAccount("test test test test test test test test test test test junk", { addressIndex: 2 });
const to = "0x000000000000000000000000000000000071e317";

const probe = createPublicClient({ transport: http(process.env.HTTP_URL) });
const chain = defineChain({
  id: await probe.getChainId(),
  name: "dev",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [process.env.HTTP_URL], webSocket: [process.env.WS_URL] } },
});
const client = createPublicClient({ chain, transport: http(), pollingInterval: 50 });
const live = createPublicClient({ chain, transport: webSocket() });
const wallet = createWalletClient({ chain, account, transport: http() });

const receiptOf = async (hash) => {
  const receipt = await client.waitForTransactionReceipt({ hash });
  assert.equal(receipt.status, "success");
  return receipt;
};

const deployed = await receiptOf(
  await wallet.deployContract({
    abi: artifact.abi,
    bytecode: `0x${artifact.bytecode}`,
    args: ["Viem", "VIM", 1_000_000n],
  }),
);
const token = { address: deployed.contractAddress, abi: artifact.abi };
assert.equal(await client.readContract({ ...token, functionName: "symbol" }), "VIM");

const call = { ...token, functionName: "transfer", args: [to, 7n] };
const gas = await client.estimateContractGas({ ...call, account });
assert.ok(gas > 21_000n, `estimate of ${gas}`);

// Only transfers to the receiver: a log subscription speaks when a block is sealed, and the block of the deployment may
// still be open. Watches over WebSocket; transfers are repeated until the subscription, which starts in the background, sees one.
let seen;
const sighting = new Promise((resolve, reject) => {
  seen = live.watchContractEvent({ ...token, eventName: "Transfer", args: { to }, onLogs: resolve, onError: reject });
});
let transfers = 0n;
let last;
let logs;
while (!logs) {
  last = await receiptOf(await wallet.writeContract(call));
  transfers += 1n;
  logs = await Promise.race([sighting, new Promise((resolve) => setTimeout(resolve, 1500))]);
  assert.ok(logs || transfers < 20n, "no Transfer event over WebSocket");
}
seen();
assert.equal(logs[0].args.to.toLowerCase(), to);
assert.equal(logs[0].args.value, 7n);

assert.equal(await client.readContract({ ...token, functionName: "balanceOf", args: [to] }), 7n * transfers);

while ((await client.getBlockNumber({ cacheTime: 0 })) < last.blockNumber) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
const history = await client.getContractEvents({ ...token, eventName: "Transfer", fromBlock: deployed.blockNumber });
assert.equal(BigInt(history.length), transfers + 1n);

await assert.rejects(
  client.request({ method: "eth_sendRawTransaction", params: ["0xdeadbeef"] }),
  (error) => error.walk((cause) => cause.code <= -32000) !== null,
);
process.exit(0);
