// Compiles the engine's kernels, src/engine/assembly, to WebAssembly beside the code that loads them.

import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

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

const { error, stderr } = await asc.main([
  join("src", "engine", "assembly", "simd.ts"),
  ...COMMON,
  "--baseDir",
  root,
  "-o",
  join("dist", "engine", "simd.wasm"),
]);
if (error) {
  process.stderr.write(stderr.toString());
  process.exit(1);
}
