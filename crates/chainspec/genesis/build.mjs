// Writes the genesis files of the public networks, in geth's format, out of the npm packages named below.
//
//   node crates/chainspec/genesis/build.mjs           writes <network>.json.zst beside this file
//   node crates/chainspec/genesis/build.mjs --check   compares the content with what is there, writes nothing
//
// Needs node 20 or newer, npm and zstd. The packages go into a temporary folder. Compressed bytes depend on the version
// of zstd, so --check compares what they decompress to.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const MAX_BUFFER = 1 << 26;
const PACKAGES = { "@ethereumjs/genesis": "10.1.3", "@ethereumjs/common": "10.1.3" };

// The terminal total difficulties are not in the packages (EIP-3675 has mainnet's). Chains without proof of work: 0.
const NETWORKS = {
  mainnet: { chain: "Mainnet", terminalTotalDifficulty: 58750000000000000000000n },
  sepolia: { chain: "Sepolia", terminalTotalDifficulty: 17000000000000000n },
  holesky: { chain: "Holesky", terminalTotalDifficulty: 0n },
  hoodi: { chain: "Hoodi", terminalTotalDifficulty: 0n },
};

// EIP-4844 and EIP-7691, kept by Osaka. The packages have the values of the forks that change nothing else.
const BLOB_SCHEDULE = {
  cancun: { target: 3, max: 6, baseFeeUpdateFraction: 3338477 },
  prague: { target: 6, max: 9, baseFeeUpdateFraction: 5007716 },
  osaka: { target: 6, max: 9, baseFeeUpdateFraction: 5007716 },
};
const BLOB_PARAMETER_FORKS = ["bpo1", "bpo2"];

// Names of the packages against geth's. A fork that is scheduled but not listed here stops the script: a new one is
// taken up on purpose, not by a change of version.
const FORK_FIELDS = {
  chainstart: [],
  homestead: ["homesteadBlock"],
  dao: ["daoForkBlock"],
  tangerineWhistle: ["eip150Block"],
  spuriousDragon: ["eip155Block", "eip158Block"],
  byzantium: ["byzantiumBlock"],
  constantinople: ["constantinopleBlock"],
  petersburg: ["petersburgBlock"],
  istanbul: ["istanbulBlock"],
  muirGlacier: ["muirGlacierBlock"],
  berlin: ["berlinBlock"],
  london: ["londonBlock"],
  arrowGlacier: ["arrowGlacierBlock"],
  grayGlacier: ["grayGlacierBlock"],
  paris: [],
  mergeNetsplitBlock: ["mergeNetsplitBlock"],
  shanghai: ["shanghaiTime"],
  cancun: ["cancunTime"],
  prague: ["pragueTime"],
  osaka: ["osakaTime"],
  bpo1: ["bpo1Time"],
  bpo2: ["bpo2Time"],
};

const hex = (value) => `0x${BigInt(value).toString(16)}`;

function config({ chain, common, terminalTotalDifficulty }) {
  const config = { chainId: chain.chainId };
  for (const { name, block, timestamp } of chain.hardforks) {
    const at = timestamp ?? block;
    if (at === null || at === undefined) continue;
    const fields = FORK_FIELDS[name];
    if (!fields) throw new Error(`${chain.name} schedules ${name}, which this script does not know`);
    for (const field of fields) config[field] = Number(at);
    if (name === "dao") config.daoForkSupport = true;
  }
  // A marker until the text is made: the value does not fit a number of JavaScript, and geth reads no string.
  config.terminalTotalDifficulty = `ttd:${terminalTotalDifficulty}`;
  config.terminalTotalDifficultyPassed = true;
  if (chain.consensus.algorithm === "ethash") config.ethash = {};
  config.depositContractAddress = chain.depositContractAddress.toLowerCase();
  config.blobSchedule = { ...BLOB_SCHEDULE };
  for (const fork of BLOB_PARAMETER_FORKS) {
    common.setHardfork(fork);
    config.blobSchedule[fork] = {
      target: Number(common.param("target")),
      max: Number(common.param("max")),
      baseFeeUpdateFraction: Number(common.param("blobGasPriceUpdateFraction")),
    };
  }
  return config;
}

function account(entry) {
  if (typeof entry === "string") return { balance: hex(entry) };
  const [balance, code, storage, nonce] = entry;
  const account = { balance: hex(balance) };
  if (BigInt(nonce ?? 0) !== 0n) account.nonce = hex(nonce);
  if (code !== "0x") account.code = code;
  if (storage.length > 0) account.storage = Object.fromEntries(storage);
  return account;
}

function genesis(network) {
  const { chain, state } = network;
  const header = chain.genesis;
  const alloc = Object.entries(state).map(([address, entry]) => [address.toLowerCase(), account(entry)]);
  alloc.sort(([left], [right]) => (left < right ? -1 : 1));
  const genesis = {
    config: config(network),
    nonce: hex(header.nonce),
    timestamp: hex(header.timestamp ?? 0),
    extraData: header.extraData,
    gasLimit: hex(header.gasLimit),
    difficulty: hex(header.difficulty),
    mixHash: `0x${"0".repeat(64)}`,
    coinbase: `0x${"0".repeat(40)}`,
    alloc: Object.fromEntries(alloc),
  };
  if (header.baseFeePerGas) genesis.baseFeePerGas = hex(header.baseFeePerGas);
  return JSON.stringify(genesis).replace(/"ttd:(\d+)"/, "$1");
}

async function packages() {
  const folder = mkdtempSync(join(tmpdir(), "genesis-"));
  try {
    const pinned = Object.entries(PACKAGES).map(([name, version]) => `${name}@${version}`);
    execFileSync("npm", ["install", "--prefix", folder, "--ignore-scripts", "--no-save", "--silent", ...pinned]);
    const { resolve } = createRequire(join(folder, "package.json"));
    const load = (name) => import(pathToFileURL(resolve(name)));
    const [{ getGenesis }, common] = [await load("@ethereumjs/genesis"), await load("@ethereumjs/common")];
    return { getGenesis, common };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const here = dirname(fileURLToPath(import.meta.url));
const check = process.argv.includes("--check");
const { getGenesis, common } = await packages();
for (const [name, network] of Object.entries(NETWORKS)) {
  const chain = common[network.chain];
  const json = genesis({
    ...network,
    chain,
    common: new common.Common({ chain }),
    state: getGenesis(chain.chainId),
  });
  const file = join(here, `${name}.json.zst`);
  if (check) {
    const found = execFileSync("zstd", ["-dc", file], { maxBuffer: MAX_BUFFER }).toString();
    if (found !== json) throw new Error(`${file} is not what the packages say: run this script without --check`);
  } else {
    const compressed = execFileSync("zstd", ["-19", "-c"], { input: json, maxBuffer: MAX_BUFFER });
    writeFileSync(file, compressed);
  }
  console.log(`${name}: ${json.length} bytes, ${readFileSync(file).length} compressed`);
}
