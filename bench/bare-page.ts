// What somebody writes by hand who has a float32 file: a page that loads it with onnxruntime-web and runs it once, on
// noise. No picture, no check of what was loaded, no offline use. The peer of the page that `qdg deploy` makes.

import { copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const PACKAGE = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));
const RUNTIME = ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"] as const;

const HTML = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Bare</title><script type="module" src="./bare.js"></script></head>
<body><p id="answer"></p></body></html>
`;
const HEADERS = `/*
  Cross-Origin-Opener-Policy: same-origin
  Cross-Origin-Embedder-Policy: require-corp
`;

function script(inputs: Readonly<Record<string, readonly number[]>>): string {
  return `import * as ort from "./${RUNTIME[0]}";
const session = await ort.InferenceSession.create("./model.onnx", { executionProviders: ["wasm"] });
const feeds = {};
for (const [name, dims] of Object.entries(${JSON.stringify(inputs)})) {
  const data = new Float32Array(dims.reduce((product, dim) => product * dim, 1)).map(() => Math.random());
  feeds[name] = new ort.Tensor("float32", data, dims);
}
const results = await session.run(feeds);
const shares = Object.values(results)[0].data;
const best = shares.indexOf(Math.max(...shares));
document.querySelector("#answer").textContent = \`class \${best}, \${(100 * shares[best]).toFixed(1)} %\`;
`;
}

/** Writes the site anew. @param inputs shapes that the model is fed, by name */
export async function writeBarePage(
  folder: string,
  model: string,
  inputs: Readonly<Record<string, readonly number[]>>,
): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const name of RUNTIME) await copyFile(join(PACKAGE, name), join(folder, name));
  await copyFile(model, join(folder, "model.onnx"));
  await writeFile(join(folder, "index.html"), HTML);
  await writeFile(join(folder, "bare.js"), script(inputs));
  await writeFile(join(folder, "_headers"), HEADERS);
}
