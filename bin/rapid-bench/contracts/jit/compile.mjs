// Compiles the contracts of the compiler's benchmark: creation code as hex, one file each.
//
// Usage: node compile.mjs OUTPUT_FOLDER
//
// The output depends on the sources and the compiler alone: no metadata hash, no paths, no time.
import { readFileSync, readdirSync, writeFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import solc from "solc";
import { generated } from "./generate.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const output = process.argv[2];
if (!output) throw new Error("usage: node compile.mjs OUTPUT_FOLDER");
mkdirSync(output, { recursive: true });

const sources = Object.fromEntries(
  readdirSync(here)
    .filter((file) => file.endsWith(".sol"))
    .sort()
    .map((file) => [file, { content: readFileSync(join(here, file), "utf8") }]),
);
const large = Object.fromEntries(Object.entries(generated).map(([file, content]) => [file, { content }]));

compile(sources, {}, "");
// The same programs through the compiler's intermediate language: another style of code.
const viaIr = Object.fromEntries(["PathTracer.sol", "Erc20.sol"].map((file) => [file, sources[file]]));
compile(viaIr, { viaIR: true }, "ViaIr");
compile(large, {}, "");

function compile(sources, settings, suffix) {
  const input = {
    language: "Solidity",
    sources,
    settings: {
      evmVersion: "cancun",
      optimizer: { enabled: true, runs: 1000 },
      metadata: { bytecodeHash: "none", appendCBOR: false },
      outputSelection: { "*": { "*": ["evm.bytecode.object", "evm.deployedBytecode.object"] } },
      ...settings,
    },
  };
  const result = JSON.parse(solc.compile(JSON.stringify(input)));
  // 5574: code over the limit of EIP-170, which is what the large contracts are for.
  const problems = (result.errors ?? []).filter((problem) => problem.errorCode !== "5574");
  for (const problem of problems) console.error(problem.formattedMessage);
  if (problems.length > 0) process.exit(1);
  for (const [file, contracts] of Object.entries(result.contracts)) {
    for (const [name, contract] of Object.entries(contracts)) {
      if (contract.evm.bytecode.object === "") continue;
      writeFileSync(join(output, `${name}${suffix}.hex`), contract.evm.bytecode.object + "\n");
      console.log(`${file}: ${name}${suffix}, ${contract.evm.deployedBytecode.object.length / 2} bytes`);
    }
  }
}
