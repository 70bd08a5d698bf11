/**
 * Compiles the CPU kernels from AssemblyScript into two WASM binaries of one source, with and without relaxed SIMD, and
 * embeds them as base64: no asset path to configure, and no compiler needed to use or test the package.
 *
 * Flow: src/devices/wasm/kernels/*.ts → src/devices/wasm/kernels.generated.ts (committed; a test compares its hash).
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

const SOURCES = new URL("../src/devices/wasm/kernels/", import.meta.url);
const TARGET = new URL("../src/devices/wasm/kernels.generated.ts", import.meta.url);

/**
 * What Binaryen does, in this order. Its usual levels also bring code into a form where each variable is written once, and
 * then move a sum's whole chain to where the sum is used: one token after the other, with what the others need in memory,
 * because the engines keep the order that they are given. Here a variable that is written again holds things in place.
 */
const PASSES: readonly string[] = [
  ...["duplicate-function-elimination", "remove-unused-module-elements", "precompute-propagate"],
  ...[
    "optimize-instructions",
    "dce",
    "remove-unused-brs",
    "remove-unused-names",
    "merge-blocks",
    "pick-load-signs",
  ],
  ...["simplify-locals-notee-nostructure", "vacuum", "local-cse", "reorder-locals", "coalesce-locals"],
  ...["simplify-locals", "coalesce-locals", "reorder-locals", "vacuum", "rse", "vacuum"],
  ...[
    "remove-unused-brs",
    "remove-unused-names",
    "merge-blocks",
    "optimize-instructions",
    "vacuum",
    "code-folding",
  ],
  ...[
    "duplicate-function-elimination",
    "memory-packing",
    "remove-unused-module-elements",
    "reorder-functions",
  ],
];

const FLAGS: readonly string[] = [
  ...[
    "--optimizeLevel",
    "0",
    "--runPasses",
    PASSES.join(","),
    "--noAssert",
    "--runtime",
    "stub",
    "--use",
    "abort=",
  ],
  ...["--importMemory", "--sharedMemory", "--initialMemory", "1", "--maximumMemory", "65536"],
  // Inner functions pass vectors; none that JavaScript calls does.
  ...["--disableWarning", "112"],
];
const FEATURES = { simd: "simd,threads,bulk-memory", relaxedSimd: "simd,relaxed-simd,threads,bulk-memory" };

/** A hash of everything that the binaries are made from. */
export function sourceHash(): string {
  const hash = createHash("sha256").update(JSON.stringify([FLAGS, FEATURES]));
  for (const name of readdirSync(SOURCES).sort())
    if (name.endsWith(".ts")) hash.update(name).update(readFileSync(new URL(name, SOURCES)));
  return hash.digest("hex");
}

async function compile(features: string): Promise<Uint8Array> {
  const { default: asc } = await import("assemblyscript/asc");
  const files = new Map<string, Uint8Array | string>();
  const { error, stderr } = await asc.main(
    ["index.ts", "--outFile", "kernels.wasm", ...FLAGS, "--enable", features],
    {
      readFile: (name) => readSource(name),
      writeFile: (name, contents) => void files.set(name, contents),
      listFiles: () => [],
    },
  );
  const binary = files.get("kernels.wasm");
  if (error || !(binary instanceof Uint8Array)) throw new Error(`${error?.message}\n${stderr.toString()}`);
  return binary;
}

function readSource(name: string): string | null {
  try {
    return readFileSync(new URL(name, SOURCES), "utf8");
  } catch {
    return null; // The compiler asks for several names until one is there.
  }
}

async function build(): Promise<void> {
  const [simd, relaxedSimd] = await Promise.all([compile(FEATURES.simd), compile(FEATURES.relaxedSimd)]);
  const lines = [
    "// Written by scripts/build-wasm.ts from the AssemblyScript in kernels/. Do not edit.",
    `export const sourceHash = "${sourceHash()}";`,
    `export const simd = "${Buffer.from(simd).toString("base64")}";`,
    `export const relaxedSimd = "${Buffer.from(relaxedSimd).toString("base64")}";`,
  ];
  writeFileSync(TARGET, `${lines.join("\n")}\n`);
  for (const [name, binary] of Object.entries({ simd, relaxedSimd }))
    console.log(`${name}: ${binary.length} bytes, ${gzipSync(binary).length} compressed`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await build();
