// Builds the page that `qdg deploy` copies: deploy/ to dist/page/ (or to the folder given), offline and within
// seconds. Names of what is built hold hashes, except the service worker's, which deploy completes.

import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build, createLogger } from "vite";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const outDir = resolve(process.argv[2] ?? join(root, "dist/page"));

// A site brings the engine's kernels by its manifest; where they are for others, the page need not find.
const logger = createLogger("warn");
const warn = logger.warn.bind(logger);
logger.warn = (message, options) => {
  if (!/engine\/(simd|relaxed)\.wasm/.test(message)) warn(message, options);
};

const common = {
  root: join(root, "deploy"),
  configFile: false,
  customLogger: logger,
  base: "./",
};

await build({
  ...common,
  // ONNX Runtime's loader apart from its WebAssembly glue, which threads have to load from a file of its own.
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "import", "default"] },
  build: {
    outDir,
    emptyOutDir: true,
    target: "es2023",
    // The content security policy allows no data: address and no inline script.
    assetsInlineLimit: 0,
    // Of what scripts import later it would load ONNX Runtime's loader for WebGPU on visits that do without.
    modulePreload: {
      polyfill: false,
      resolveDependencies: (_, files, { hostType }) => (hostType === "html" ? files : []),
    },
    rollupOptions: {
      input: ["index.html", "network.html"].map((name) => join(root, "deploy", name)),
      // Few files: each costs a visit its headers. The engine's comes with the model, not before.
      output: {
        codeSplitting: {
          groups: [
            {
              name: "page",
              test: /src\/(base|image|model|quant|web\/(?!onnx-facts)|runtime\/(feeds|threads|time-limit|ort-web-files)|graph\/unknown-shape)/,
            },
            // Operators that few networks have, and threads, come when they are needed.
            {
              name: "engine",
              test: /src\/(engine\/(?!team)|compute\/(?!(operators|convolution|filling|places|pooling|reduction|resize|selection)\.)|onnx|graph|runtime\/(engine|graph))/,
            },
          ],
        },
      },
    },
  },
});

await build({
  ...common,
  publicDir: false,
  build: {
    outDir,
    emptyOutDir: false,
    target: "es2023",
    rollupOptions: {
      input: join(root, "deploy/service-worker.ts"),
      output: { format: "iife", entryFileNames: "service-worker.js" },
    },
  },
});
