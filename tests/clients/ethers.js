// ethers v6. Development account 3.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Contract, ContractFactory, HDNodeWallet, JsonRpcProvider, WebSocketProvider } from "ethers";

const artifact = JSON.parse(readFileSync(process.env.ARTIFACT, "utf8"));
const provider = new JsonRpcProvider(process.env.HTTP_URL, undefined, { cacheTimeout: -1 });
provider.pollingInterval = 50;
const live = new WebSocketProvider(process.env.WS_URL);
const wallet = HDNodeWallet.fromPhrase(
  "test test test test test test test test test test test junk",
  undefined,
  "m/44'/60'/0'/0/3",
).connect(provider);
const to = "0x00000000000000000000000000000000000E73E5".toLowerCase();

const factory = new ContractFactory(artifact.abi, artifact.bytecode, wallet);
const deployed = await factory.deploy("Ethers", "ETS", 1_000_000n);
await deployed.waitForDeployment();
const address = await deployed.getAddress();
const token = new Contract(address, artifact.abi, wallet);
assert.equal(await token.symbol(), "ETS");

const gas = await token.transfer.estimateGas(to, 7n);
assert.ok(gas > 21_000n, `estimate of ${gas}`);

// Only transfers to the receiver: a log subscription speaks when a block is sealed, and the block of the deployment may
// still be open. Watches over WebSocket; transfers are repeated until the subscription, which starts in the background, sees one.
const watched = new Contract(address, artifact.abi, live);
const sighting = new Promise((resolve) => {
  watched.on(watched.filters.Transfer(null, to), (payload) => {
    const [from, receiver, value] = payload.args;
    resolve({ from, receiver, value });
  });
});
let transfers = 0n;
let last;
let event;
while (!event) {
  last = await (await token.transfer(to, 7n)).wait();
  assert.equal(last.status, 1);
  transfers += 1n;
  event = await Promise.race([sighting, new Promise((resolve) => setTimeout(resolve, 1500))]);
  assert.ok(event || transfers < 20n, "no Transfer event over WebSocket");
}
assert.equal(event.receiver.toLowerCase(), to);
assert.equal(event.value, 7n);

assert.equal(await token.balanceOf(to), 7n * transfers);

while ((await provider.getBlockNumber()) < last.blockNumber) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
const history = await token.queryFilter("Transfer", 0);
assert.equal(BigInt(history.length), transfers + 1n);

await assert.rejects(
  provider.send("eth_sendRawTransaction", ["0xdeadbeef"]),
  (error) => (error.error?.code ?? error.info?.error?.code) <= -32000,
);
process.exit(0);
