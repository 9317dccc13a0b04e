// Compiles AssemblyScript, the engine's kernels and training's loops, to WebAssembly beside the code that loads it, and
// bundles the engine for a page.

import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { main } from "assemblyscript/asc";
import { build } from "vite";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

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

/** Sections of the binary format that a module of functions on an imported memory has: types, imports, and so on. */
const ALLOWED = new Set([0, 1, 2, 3, 7, 10]);
const OTHERS = {
  4: "a table",
  5: "a memory of its own",
  6: "variables",
  8: "a start function",
  9: "references to functions",
  11: "data",
  12: "data",
};

await compile("engine", "simd", []);
await compile("engine", "relaxed", ["--enable", "relaxed-simd"]);
await compile("train/backends", "loops", ["--noExportMemory"]);
await bundlePage();

/** `src/FOLDER/assembly/NAME.ts` to `dist/FOLDER/NAME.wasm`. */
async function compile(folder, name, features) {
  const source = join("src", folder, "assembly", `${name}.ts`);
  const to = join("dist", folder, `${name}.wasm`);
  mkdirSync(join(root, "dist", folder), { recursive: true });
  const options = [...COMMON, ...features, "--baseDir", root, "-o", to];
  const { error } = await main([source, ...options], { stderr: process.stderr });
  if (error) process.exit(1);
  const found = sectionsOf(readFileSync(join(root, to))).find((id) => !ALLOWED.has(id));
  if (found === undefined) return;
  rmSync(join(root, to));
  console.error(
    `${source}: got ${OTHERS[found] ?? `section ${found}`} in the module, expected functions on an imported memory alone; ` +
      "use no strings, arrays, objects, changing globals or functions as values",
  );
  process.exit(1);
}

/**
 * The numbers of a module's sections. Its memory is another's: the engine lays its own out, and training's is the heap of
 * tfjs. Data, a start function or a stack would mean that the module writes where no call was told to.
 */
function sectionsOf(bytes) {
  const ids = [];
  let at = 8;
  while (at < bytes.length) {
    ids.push(bytes[at++]);
    let size = 0;
    for (let shift = 0, byte = 0x80; byte >= 0x80; shift += 7) {
      byte = bytes[at++];
      size += (byte & 0x7f) * 2 ** shift;
    }
    at += size;
  }
  return ids;
}

/** The engine as one module, for the page that `browser-engine` runs in; from what tsc has built. */
async function bundlePage() {
  await build({
    root,
    configFile: false,
    logLevel: "warn",
    publicDir: false,
    build: {
      outDir: join(root, "dist", "engine"),
      emptyOutDir: false,
      target: "es2023",
      rollupOptions: { output: { codeSplitting: false } },
      lib: {
        entry: join(root, "dist", "runtime", "browser", "page-engine.js"),
        formats: ["es"],
        fileName: () => "page-engine.mjs",
      },
    },
  });
}
