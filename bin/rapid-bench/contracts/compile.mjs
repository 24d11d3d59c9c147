// Compiles every contract of this folder with the pinned compiler and writes one artifact per contract:
// {"contractName", "compiler", "abi", "bytecode", "deployedBytecode"}, hex without 0x.
//
// Usage: node compile.mjs OUTPUT_FOLDER
//
// The output depends on the sources and the compiler alone: no metadata hash, no paths, no time.
import { readFileSync, readdirSync, writeFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import solc from "solc";

const here = dirname(fileURLToPath(import.meta.url));
const output = process.argv[2];
if (!output) throw new Error("usage: node compile.mjs OUTPUT_FOLDER");

const sources = Object.fromEntries(
  readdirSync(here)
    .filter((file) => file.endsWith(".sol"))
    .sort()
    .map((file) => [file, { content: readFileSync(join(here, file), "utf8") }]),
);

const input = {
  language: "Solidity",
  sources,
  settings: {
    evmVersion: "cancun",
    optimizer: { enabled: true, runs: 1000 },
    metadata: { bytecodeHash: "none", appendCBOR: false },
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
  },
};

const result = JSON.parse(solc.compile(JSON.stringify(input)));
const problems = result.errors ?? [];
for (const problem of problems) console.error(problem.formattedMessage);
if (problems.length > 0) process.exit(1);

mkdirSync(output, { recursive: true });
for (const [file, contracts] of Object.entries(result.contracts)) {
  for (const [contractName, contract] of Object.entries(contracts)) {
    // Interfaces have no code and need no artifact.
    if (contract.evm.bytecode.object === "") continue;
    const artifact = {
      contractName,
      compiler: solc.version(),
      abi: contract.abi,
      bytecode: contract.evm.bytecode.object,
      deployedBytecode: contract.evm.deployedBytecode.object,
    };
    writeFileSync(join(output, `${contractName}.json`), JSON.stringify(artifact, null, 1) + "\n");
    console.log(`${file}: ${contractName}, ${contract.evm.deployedBytecode.object.length / 2} bytes`);
  }
}
