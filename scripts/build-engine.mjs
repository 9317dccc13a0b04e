// Compiles the engine's kernels, src/engine/assembly, to WebAssembly beside the code that loads them.

import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { main } from "assemblyscript/asc";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const to = join(root, "dist", "engine");
mkdirSync(to, { recursive: true });

const COMMON = [
  "-O3",
  "--noAssert",
  "--runtime",
  "stub",
  "--importMemory",
  "--enable",
  "simd",
  "--enable",
  "bulk-memory",
];

await compile("simd", []);
await compile("relaxed", ["--enable", "relaxed-simd"]);

async function compile(name, features) {
  const source = join("src", "engine", "assembly", `${name}.ts`);
  const options = [...COMMON, ...features, "--baseDir", root, "-o", join("dist", "engine", `${name}.wasm`)];
  const { error } = await main([source, ...options], { stderr: process.stderr });
  if (error) process.exit(1);
}
