import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import sharp from "sharp";
import { build, type Rolldown } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeImage } from "../../src/image/decode.js";
import { encodePng } from "../../src/image/encode.js";
import { imageToTensor } from "../../src/image/to-tensor.js";
import { INPUT, onCpu, pathsOf, PREPROCESSING, serve, shapeImage, shapesSite } from "./site.js";
import type { Site, TestServer } from "./site.js";

const FLAGS = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const GPU_FLAGS = ["--enable-unsafe-webgpu", "--enable-features=Vulkan", "--use-webgpu-adapter=swiftshader"];
const ISOLATED = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; img-src blob:",
};
const EXECUTABLE =
  ["/usr/bin/chromium", "/usr/bin/google-chrome", "/usr/bin/microsoft-edge"].find((path) =>
    existsSync(path),
  ) ?? "";

let site: Site;
let server: TestServer;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let folder: string;
let script: string;
let paths: Map<string, Uint8Array | string>;

/** The tests' page and worker, bundled as a user's are: the runtime's loader stays a file of its own. */
async function bundle(): Promise<Map<string, string>> {
  const root = fileURLToPath(new URL("page/", import.meta.url));
  const built = (await build({
    root,
    base: "./",
    configFile: false,
    logLevel: "error",
    resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "production"] },
    worker: { format: "es" },
    build: {
      write: false,
      target: "es2022",
      modulePreload: false,
      rollupOptions: { input: join(root, "page.ts") },
    },
  })) as Rolldown.RolldownOutput;
  return new Map(
    built.output.map((output) => {
      const text = output.type === "chunk" ? output.code : output.source;
      return [output.fileName, typeof text === "string" ? text : Buffer.from(text).toString()];
    }),
  );
}

async function open(): Promise<Page> {
  const opened = await context.newPage();
  await opened.goto(`${server.url}index.html`);
  await opened.waitForFunction("globalThis.qdg !== undefined");
  return opened;
}

/** Runs `body` on the page; `model` is the model at /m/, disposed of afterwards. */
async function withModel<T>(body: string, options: object = {}, on = page): Promise<T> {
  return on.evaluate(`(async () => {
    const model = await qdg.load("m/", ${JSON.stringify(options)});
    try {
      const blobOf = async (name) => (await fetch(name)).blob();
      ${body}
    } finally { await model.dispose(); }
  })()`);
}

beforeAll(async () => {
  site = await shapesSite(true);
  const chunks = await bundle();
  script = [...chunks.keys()].find((name) => name.includes("page")) ?? "";
  folder = await mkdtemp(join(tmpdir(), "qdg-web-browser-"));
  const html = `<!doctype html><title>test</title><script type="module" src="./${script}"></script>`;
  paths = new Map<string, Uint8Array | string>([
    ...pathsOf(site, "m"),
    ...chunks,
    ["index.html", html],
    ["shape.png", await encodePng(shapeImage(4))],
    ["photo.png", await encodePng(photo())],
    ["text.png", "this is no image"],
  ]);
  server = await serve(paths, ISOLATED);
  browser = await chromium.launch({ executablePath: EXECUTABLE, args: [...FLAGS, ...GPU_FLAGS] });
  context = await browser.newContext();
  page = await open();
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await server?.close();
  if (folder) await rm(folder, { recursive: true });
});

/** Large and noisy, so that the resampler has work and a wrong pixel shows. */
function photo(): { width: number; height: number; channels: 3; data: Uint8Array } {
  let state = 1;
  const data = Uint8Array.from({ length: 301 * 207 * 3 }, (_, i) => {
    state = (state * 48271) % 2147483647;
    return (state % 90) + (i % 166);
  });
  return { width: 301, height: 207, channels: 3, data };
}

describe("in Chromium, with a software GPU", () => {
  test("load takes webgpu, and classify of a PNG gives the probabilities of onnxruntime-node", async () => {
    const result = await withModel<{
      device: string;
      adapter: string;
      fallbacks: unknown[];
      label: string;
      probabilities: number[];
    }>(`
      const { label, probabilities, latencyMs } = await model.classify(await blobOf("shape.png"));
      const { device, adapter, fallbacks, selfTest } = model;
      return { device, adapter, fallbacks, selfTest, label, probabilities, latencyMs };
    `);
    console.log(result);
    expect(result.device).toBe("webgpu");
    const [expected] = await onCpu(site.files.get("model.onnx") as Uint8Array, [shapeImage(4)]);
    expect(
      Math.max(...(expected ?? []).map((p, k) => Math.abs(p - (result.probabilities[k] ?? NaN)))),
    ).toBeLessThan(1e-5);
  });
  test("wasm", async () => {
    const result = await withModel(
      `
      const { label, probabilities, latencyMs } = await model.classify(await blobOf("shape.png"));
      const { device, adapter, fallbacks, selfTest, threads } = model;
      return { device, adapter, fallbacks, selfTest, label, probabilities, latencyMs, threads };
    `,
      { device: "wasm" },
    );
    console.log(result);
    console.log(
      await page.evaluate(`(async () => classifyInWorker("m/", await (await fetch("shape.png")).blob()))()`),
    );
  });
});
