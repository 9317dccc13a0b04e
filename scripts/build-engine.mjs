// Compiles the engine's kernels, src/engine/assembly, to WebAssembly beside the code that loads them, and bundles the
// engine for a page.

import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { main } from "assemblyscript/asc";
import { build } from "vite";

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
await bundlePage();

async function compile(name, features) {
  const source = join("src", "engine", "assembly", `${name}.ts`);
  const options = [...COMMON, ...features, "--baseDir", root, "-o", join("dist", "engine", `${name}.wasm`)];
  const { error } = await main([source, ...options], { stderr: process.stderr });
  if (error) process.exit(1);
}

/** The engine as one module, for the page that `browser-engine` runs in; from what tsc has built. */
async function bundlePage() {
  await build({
    root,
    configFile: false,
    logLevel: "warn",
    publicDir: false,
    build: {
      outDir: to,
      emptyOutDir: false,
      target: "es2023",
      lib: {
        entry: join(root, "dist", "runtime", "browser", "page-engine.js"),
        formats: ["es"],
        fileName: () => "page-engine.mjs",
      },
    },
  });
}
