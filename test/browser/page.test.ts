import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { exportModel } from "../../src/export/export-model.js";
import { serveSite, type SiteServer } from "../../src/deploy/static-server.js";
import { type DeployResult, deploySite } from "../../src/deploy/site.js";
import { decodeImage } from "../../src/image/decode.js";
import { drawShape, SHAPE_LABELS } from "../../src/image/draw-shapes.js";
import { encodePng } from "../../src/image/encode.js";
import { imageToTensor } from "../../src/image/to-tensor.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import type { Manifest, ManifestClassifier, ManifestRuntimeFile } from "../../src/web/manifest.js";
import type { ExpectedOutput } from "../../src/web/self-test-case.js";
import { startChromium } from "../support/chromium.js";
import { BROWSER } from "../support/needs.js";
import { deployShapes, exportShapes, SHAPES_MODEL, temporaryFolder } from "../support/deployed-site.js";

// A machine under load takes its time to compile 14 MB of WebAssembly.
const LIMIT_MS = 300_000;
const IN_BROWSER = { timeout: LIMIT_MS, ...BROWSER };
/** ONNX's number for float32. */
const FLOAT = 1;
const PHONE = { width: 360, height: 740 };

let root: string;
let browser: Browser;
/** For WebAssembly alone. */
let site: DeployResult;
/** For both devices. */
let both: DeployResult;

beforeAll(async () => {
  root = await temporaryFolder();
  browser = await startChromium({ gpu: false });
  site = await deployShapes(root, ["cpu", "wasm"], { to: join(root, "site") });
  const folder = await exportShapes(join(root, "out-both"), ["cpu", "wasm", "webgpu"]);
  both = await deploySite({ folder, to: join(root, "both"), pageFolder: join(root, "page") });
}, LIMIT_MS);

afterAll(async () => {
  await browser.close();
  await rm(root, { recursive: true });
});

interface Visit {
  readonly page: Page;
  readonly server: SiteServer;
  readonly context: BrowserContext;
  /** What the browser complained of: scripts, the policy, the network. */
  readonly complaints: string[];
}

/** Opens a site in a browser that has never seen it. */
async function visit(
  folder: string,
  { using = browser, viewport = { width: 1280, height: 900 }, query = "" } = {},
): Promise<Visit> {
  const server = await serveSite(folder, 0);
  const context = await using.newContext({ viewport });
  onTestFinished(async () => {
    await context.close();
    await server.close();
  });
  const { page, complaints } = await open(context, server.url + query);
  return { page, server, context, complaints };
}

async function open(context: BrowserContext, url: string): Promise<{ page: Page; complaints: string[] }> {
  const page = await context.newPage();
  page.setDefaultTimeout(LIMIT_MS);
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    // Whoever asks for ONNX Runtime by the address has the engine's files for nothing.
    if (/[?](device|engine)=/.test(url) && /was preloaded .* but not used/.test(message.text())) return;
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  await page.addInitScript(`
    window.states = [];
    window.shifts = 0;
    new MutationObserver(() => {
      const text = document.querySelector("#state")?.textContent;
      if (text && text !== window.states.at(-1)) window.states.push(text);
    }).observe(document, { subtree: true, childList: true, characterData: true });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) window.shifts += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  `);
  await page.goto(url);
  return { page, complaints };
}

const ready = (page: Page): Promise<void> => page.locator("#state", { hasText: /^Ready/ }).waitFor();
const answered = (page: Page): Promise<void> => page.locator("#answer", { hasText: "%" }).waitFor();
const read = async (page: Page, id: string): Promise<string> =>
  (await page.locator(`#${id}`).textContent()) ?? "";
const evaluate = <T>(page: Page, script: string): Promise<T> => page.evaluate(script) as Promise<T>;

/** A circle's outline drawn with the mouse. */
async function drawRing(page: Page): Promise<void> {
  await page.locator("#pen").fill("64");
  const box = await page.locator("#picture").boundingBox();
  if (!box) throw new Error("the canvas is not shown");
  const point = (turn: number): [number, number] => [
    box.x + box.width * (0.5 + 0.27 * Math.cos(2 * Math.PI * turn)),
    box.y + box.height * (0.5 + 0.27 * Math.sin(2 * Math.PI * turn)),
  ];
  await page.mouse.move(...point(0));
  await page.mouse.down();
  for (let step = 1; step <= 25; step++) await page.mouse.move(...point(step / 24));
  await page.mouse.up();
}

/** A drawn shape as a PNG file, and the probabilities that ONNX Runtime on the CPU gives it. */
async function drawnPng(label: number): Promise<{ png: Uint8Array; probabilities: readonly number[] }> {
  const shape = SHAPE_LABELS[label] ?? "circle";
  const png = await encodePng({ width: 32, height: 32, channels: 3, data: drawShape(shape, 9, label) });
  const session = await cpuRuntime.open({ path: join(root, "out", "model.onnx") });
  const { input, preprocessing, output } = site.manifest.classifier as ManifestClassifier;
  const feeds = { [input.name]: imageToTensor(await decodeImage(png), { ...input, preprocessing }) };
  const result = (await session.run(feeds))[output.name];
  await session.dispose();
  return { png, probabilities: Array.from(result?.data as Float32Array) };
}

function shown(probabilities: readonly number[]): string[] {
  return probabilities.map((share) => `${(100 * share).toFixed(1)} %`);
}

async function drop(page: Page, bytes: Uint8Array, name: string): Promise<void> {
  await evaluate(
    page,
    `{
      const data = new DataTransfer();
      const bytes = Uint8Array.from(atob("${Buffer.from(bytes).toString("base64")}"), (c) => c.charCodeAt(0));
      data.items.add(new File([bytes], ${JSON.stringify(name)}));
      document.querySelector("#picture").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }`,
  );
}

test(
  "the page loads under its policy, shows progress, tests itself and classifies what is drawn",
  IN_BROWSER,
  async () => {
    const { page, complaints } = await visit(site.path);
    await ready(page);
    const states = await evaluate<string[]>(page, "window.states");
    expect(states.some((state) => /^Loading: [\d.]+ kB of [\d.]+ kB$/.test(state))).toBe(true);
    expect(await evaluate(page, "crossOriginIsolated")).toBe(true);
    expect(await read(page, "device")).toBe("qdg's engine, 1 thread");
    expect(await read(page, "refused")).toBe("nothing");
    expect(await page.locator(".sizes").textContent()).toMatch(/^Model 32\.1 kB, engine \d\d\.\d kB$/);
    expect(await read(page, "self-test")).toBe("passed: 3 pictures, 31,872 integers equal");
    await drawRing(page);
    await answered(page);
    expect(await read(page, "answer")).toMatch(/^ring, /);
    expect(await read(page, "latency")).toMatch(/^[\d.]+ ms$/);
    await page.locator("#clear").click();
    expect(await read(page, "answer")).not.toContain("%");
    expect(complaints).toEqual([]);
  },
);

test(
  "a visit that the engine serves transfers under 120 kB, and nothing of ONNX Runtime",
  IN_BROWSER,
  async () => {
    const server = await serveSite(both.path, 0);
    const context = await browser.newContext();
    onTestFinished(async () => {
      await context.close();
      await server.close();
    });
    const page = await context.newPage();
    const client = await context.newCDPSession(page);
    await client.send("Network.enable");
    let bytes = 0;
    client.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.goto(server.url);
    await ready(page);
    await page.locator("#offline", { hasText: "ready" }).waitFor({ timeout: LIMIT_MS });
    expect(asked.length).toBeGreaterThan(5);
    expect(asked.filter((url) => /\/ort|webgpu/.test(url))).toEqual([]);
    expect(bytes).toBeGreaterThan(50_000);
    expect(bytes).toBeLessThan(120_000);
    // Nor is any of it kept for the next visit.
    const kept = await evaluate<string[]>(
      page,
      "caches.keys().then(([name]) => caches.open(name)).then((cache) => cache.keys()).then((all) => all.map(({ url }) => url))",
    );
    expect(kept.filter((url) => url.endsWith(".wasm"))).toHaveLength(2);
    expect(kept.filter((url) => /\/ort|webgpu/.test(url))).toEqual([]);
  },
);

test("ONNX Runtime is asked for by the address, tests itself and classifies", IN_BROWSER, async () => {
  const { page, complaints } = await visit(site.path, { query: "?device=wasm" });
  await ready(page);
  expect(await read(page, "device")).toMatch(/^ONNX Runtime, WebAssembly, \d threads?$/);
  expect(await read(page, "self-test")).toBe("passed: 3 pictures, 31,872 integers equal");
  await drawRing(page);
  await answered(page);
  expect(await read(page, "answer")).toMatch(/^ring, /);
  expect(complaints).toEqual([]);
});

test(
  "the engine has as many threads as the address asks for, and computes the same",
  IN_BROWSER,
  async () => {
    const { page, complaints } = await visit(site.path, { query: "?threads=3" });
    await ready(page);
    expect(await read(page, "device")).toBe("qdg's engine, 3 threads");
    // Those of the session that gave out the integers have ended.
    await expect.poll(() => page.workers().length).toBe(2);
    expect(await read(page, "self-test")).toBe("passed: 3 pictures, 31,872 integers equal");
    await drawRing(page);
    await answered(page);
    expect(await read(page, "answer")).toMatch(/^ring, /);
    expect(complaints).toEqual([]);
  },
);

test("a drawing is run through every runtime of the site, side by side", IN_BROWSER, async () => {
  const folder = await exportShapes(join(root, "out-compared"), ["cpu", "wasm"]);
  await exportModel({ model: SHAPES_MODEL, output: join(folder, "float.onnx"), float: true });
  const compared = await deploySite({
    folder,
    to: join(root, "compared"),
    pageFolder: join(root, "page"),
    compare: true,
  });
  const { page, complaints } = await visit(compared.path, { viewport: PHONE });
  await ready(page);
  await page.locator("#compare").click();
  expect(await read(page, "compare-state")).toBe("Draw something, or choose an image, first.");
  await drawRing(page);
  await answered(page);
  await page.locator("#compare").click();
  await page.locator("#compare-state", { hasText: "middle of nine" }).waitFor();
  const rows = await page.locator("#compared tr").allInnerTexts();
  expect(rows.map((row) => row.split("\t")[0])).toEqual([
    "qdg's engine",
    "ONNX Runtime, WebAssembly",
    "ONNX Runtime, WebAssembly, float32",
  ]);
  for (const row of rows) expect(row).toMatch(/\d+\.\d\d ms.*\d kB.*[kM]B.*ring$/);
  expect(await evaluate(page, "document.documentElement.scrollWidth")).toBe(PHONE.width);
  expect(complaints).toEqual([]);
});

test("the camera is classified picture after picture, until it is stopped", IN_BROWSER, async () => {
  const filming = await startChromium({ gpu: false, camera: true });
  onTestFinished(() => filming.close());
  const { page, complaints } = await visit(site.path, { using: filming });
  await ready(page);
  await page.locator("#camera").click();
  await page.locator("#latency", { hasText: "pictures a second" }).waitFor();
  await answered(page);
  expect(await page.locator("#camera").getAttribute("aria-pressed")).toBe("true");
  expect(await page.locator("#picture").getAttribute("aria-label")).toContain("camera");
  await page.locator("#camera").click();
  expect(await page.locator("#camera").getAttribute("aria-pressed")).toBe("false");
  await drawRing(page);
  await page.locator("#answer", { hasText: "ring" }).waitFor();
  expect(complaints).toEqual([]);
});

test("a camera that is refused is said to be so, and drawing goes on", IN_BROWSER, async () => {
  const { page } = await visit(site.path);
  await ready(page);
  await page.locator("#camera").click();
  await page.locator("#problem", { hasText: "The camera cannot be used" }).waitFor();
  await drawRing(page);
  await answered(page);
  expect(await read(page, "answer")).toMatch(/^ring, /);
});

test("a network that classifies no images has a page that runs it, on a phone too", IN_BROWSER, async () => {
  const folder = join(root, "out-network");
  await mkdir(folder);
  const model = decodeModel(await readFile(join(root, "out", "model.onnx")));
  const metadataProps = (model.metadataProps ?? []).filter(({ key }) => key !== "qdg.labels");
  await writeFile(join(folder, "model.onnx"), encodeModel({ ...model, metadataProps }));
  const network = await deploySite({ folder, to: join(root, "network"), pageFolder: join(root, "page") });
  const { page, complaints } = await visit(network.path, { viewport: PHONE });
  await ready(page);
  expect(await read(page, "device")).toBe("qdg's engine, 1 thread");
  expect(await read(page, "self-test")).toBe("passed: 2 inputs, 31,872 integers equal");
  expect(await page.locator("#inputs tr").allInnerTexts()).toEqual([
    "input\tfloat32\t[1, 32, 32, 3]\t0 to 1",
  ]);
  const first = await read(page, "outputs");
  expect(first).toMatch(/^classes float32 \[1, 7\], /);
  await page.locator("#run").click();
  await page.waitForFunction(`document.querySelector("#outputs").textContent !== ${JSON.stringify(first)}`);
  expect(await read(page, "latency")).toMatch(/^[\d.]+ ms$/);
  expect(await evaluate(page, "document.documentElement.scrollWidth")).toBe(PHONE.width);
  expect(complaints).toEqual([]);
});

test(
  "an image that is dropped, chosen or pasted gets the probabilities of ONNX Runtime on the CPU",
  IN_BROWSER,
  async () => {
    const { page, complaints } = await visit(site.path, { viewport: PHONE });
    await ready(page);
    const expectShown = async (probabilities: readonly number[]): Promise<void> => {
      const label = SHAPE_LABELS[probabilities.indexOf(Math.max(...probabilities))] ?? "";
      await page.locator("#answer", { hasText: `${label}, ` }).waitFor();
      expect(await page.locator("#bars .share").allTextContents()).toEqual(shown(probabilities));
    };
    const [star, heart, cross] = await Promise.all([drawnPng(5), drawnPng(2), drawnPng(1)]);
    await drop(page, star.png, "star.png");
    await expectShown(star.probabilities);
    expect(await page.locator("#picture").getAttribute("aria-label")).toBe("Drawing area, image star.png");
    await page.setInputFiles("#file", {
      name: "h.png",
      mimeType: "image/png",
      buffer: Buffer.from(heart.png),
    });
    await expectShown(heart.probabilities);
    await evaluate(
      page,
      `{
        const data = new DataTransfer();
        const bytes = Uint8Array.from(atob("${Buffer.from(cross.png).toString("base64")}"), (c) => c.charCodeAt(0));
        data.items.add(new File([bytes], "c.png", { type: "image/png" }));
        document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
      }`,
    );
    await expectShown(cross.probabilities);
    await drop(page, new TextEncoder().encode("no image"), "text.png");
    await page.locator("#problem", { hasText: "text.png is not an image" }).waitFor();
    expect(complaints).toEqual([]);
  },
);

test(
  "it is used by keys alone on a phone's width, nothing moves and nothing overflows",
  IN_BROWSER,
  async () => {
    const { page } = await visit(site.path, { viewport: PHONE });
    await ready(page);
    const focused = (): Promise<string> => evaluate(page, "document.activeElement.id");
    const seen: string[] = [];
    for (let i = 0; i < 5; i++) {
      await page.keyboard.press("Tab");
      seen.push(await focused());
    }
    expect(seen).toEqual(["picture", "file", "camera", "clear", "pen"]);
    for (let i = 0; i < 4; i++) await page.keyboard.press("Shift+Tab");
    expect(await evaluate(page, "getComputedStyle(document.activeElement).outlineStyle")).toBe("solid");
    const mark = page.locator("#pen-mark");
    expect([await mark.isVisible(), await page.locator(".drop .keys").isVisible()]).toEqual([true, true]);
    await page.keyboard.press("Space");
    for (const key of ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowLeft", "ArrowUp"]) {
      await page.keyboard.press(`Shift+${key}`);
    }
    expect(await mark.getAttribute("class")).toContain("down");
    // In the middle, one long step to the left: 192 of 448 pixels.
    expect(await evaluate(page, "parseFloat(document.querySelector('#pen-mark').style.left)")).toBeCloseTo(
      (100 * 192) / 448,
      3,
    );
    await page.keyboard.press("Space");
    expect(await mark.getAttribute("class")).not.toContain("down");
    await answered(page);
    await page.keyboard.press("Delete");
    await page.locator("#answer", { hasText: "\u2013" }).waitFor();
    await page.locator("#offline", { hasText: "ready" }).waitFor();
    expect(await evaluate(page, "window.shifts")).toBeLessThan(0.02);
    expect(await evaluate(page, "document.documentElement.scrollWidth")).toBe(PHONE.width);
    for (const id of ["state", "answer"]) {
      expect(await page.locator(`#${id}`).getAttribute("role")).toBe("status");
    }
  },
);

test(
  "the second visit works with the server stopped, and a new version is taken when the visitor says so",
  IN_BROWSER,
  async () => {
    const folder = join(root, "versions");
    await cp(site.path, folder, { recursive: true });
    const { page, server, context } = await visit(folder);
    await page.locator("#offline", { hasText: "ready" }).waitFor();
    const { port } = server;
    await server.close();
    await page.close();

    const second = await open(context, server.url);
    await ready(second.page);
    expect(await read(second.page, "self-test")).toMatch(/^passed/);
    expect(await evaluate(second.page, "crossOriginIsolated")).toBe(true);
    await drawRing(second.page);
    await answered(second.page);
    await second.page.close();

    const out = join(root, "out");
    await deploySite({ folder: out, to: folder, pageFolder: join(root, "page"), title: "New" });
    const again = await serveSite(folder, port);
    onTestFinished(() => again.close());
    const third = await open(context, server.url);
    await third.page.locator("#update").waitFor({ state: "visible" });
    expect(await read(third.page, "state")).toMatch(/^Ready/);
    expect(await third.page.title()).toBe("What is in the picture?");
    await third.page.locator("#update").click();
    await third.page.locator("h1", { hasText: "New" }).waitFor();
    await ready(third.page);
    const caches = await evaluate<string[]>(third.page, "caches.keys()");
    expect(caches).toHaveLength(1);
  },
);

describe("a file that is not what was deployed", () => {
  test.each(["model", "engine", "wasm"])(
    "is refused with a message that is seen: %s",
    IN_BROWSER,
    async (kind) => {
      const folder = join(root, `tampered-${kind}`);
      await cp(site.path, folder, { recursive: true });
      const { models, runtime } = site.manifest;
      const isPart = ({ engine, name }: ManifestRuntimeFile): boolean =>
        engine === (kind === "wasm" ? "onnxruntime" : "qdg") && name.endsWith(".wasm");
      const file = kind === "model" ? models[0]?.file : runtime.files.find(isPart)?.file;
      const path = join(folder, file ?? "");
      const bytes = await readFile(path);
      bytes[bytes.length - 9] = (bytes[bytes.length - 9] ?? 0) ^ 1;
      await writeFile(path, bytes);
      const { page } = await visit(folder, { query: kind === "wasm" ? "?device=wasm" : "" });
      await page.locator("#problem", { hasText: "SHA-256" }).waitFor();
      expect(await read(page, "problem")).toContain(file);
      expect(await page.locator("#problem").isVisible()).toBe(true);
      expect(await page.locator("#problem").getAttribute("role")).toBe("alert");
      expect(await read(page, "state")).toBe("The model could not be loaded.");
      await drawRing(page);
      expect(await read(page, "answer")).not.toContain("%");
    },
  );
});

async function withManifest(folder: string, change: (manifest: Manifest) => Manifest): Promise<void> {
  const [path = ""] = (await readdir(folder))
    .filter((name) => /^manifest\.[0-9a-f]{8}\.json$/.test(name))
    .map((name) => join(folder, name));
  const manifest = JSON.parse(await readFile(path, "utf8")) as Manifest;
  await writeFile(path, JSON.stringify(change(manifest)));
}

test("a device that fails the self-test gives no answers, and says so", IN_BROWSER, async () => {
  const folder = join(root, "fails");
  await cp(site.path, folder, { recursive: true });
  const name = site.manifest.classifier?.output.name ?? "";
  await withManifest(folder, (manifest) => ({
    ...manifest,
    selfTest: {
      cases: manifest.selfTest.cases.map((item) => {
        const answer = item.expected[name] as ExpectedOutput;
        const values = answer.values.map((value) => value + 0.001);
        return { ...item, expected: { [name]: { ...answer, values } } };
      }),
    },
  }));
  const { page } = await visit(folder);
  await page.locator("#problem", { hasText: "self-test" }).waitFor();
  await drawRing(page);
  expect(await read(page, "answer")).not.toContain("%");
});

test("without WebGPU ONNX Runtime falls back to WebAssembly and says why", IN_BROWSER, async () => {
  const { page } = await visit(both.path, { query: "?engine=onnxruntime" });
  await ready(page);
  expect(await read(page, "device")).toMatch(/^ONNX Runtime, WebAssembly/);
  expect(await read(page, "refused")).toMatch(/^ONNX Runtime, WebGPU: .*(no WebGPU|no GPU adapter)/);
  expect(await read(page, "problem")).toBe("");
});

describe("with WebGPU", BROWSER, () => {
  let gpu: Browser;
  beforeAll(async () => {
    gpu = await startChromium({ gpu: true });
  });
  afterAll(() => gpu.close());

  test("the page computes on it, tests itself and works offline the second time", IN_BROWSER, async () => {
    const { page, server, context, complaints } = await visit(both.path, {
      using: gpu,
      query: "?engine=onnxruntime",
    });
    await ready(page);
    expect(await read(page, "device")).toMatch(/^ONNX Runtime, WebGPU, \S/);
    expect(await read(page, "problem")).toBe("");
    expect(await read(page, "self-test")).toBe("passed: 3 pictures, 31,872 integers equal");
    await drawRing(page);
    await answered(page);
    expect(await read(page, "answer")).toMatch(/^ring, /);
    expect(complaints).toEqual([]);
    await page.locator("#offline", { hasText: "ready" }).waitFor();
    await server.close();
    const second = await open(context, `${server.url}?engine=onnxruntime`);
    await ready(second.page);
    expect(await read(second.page, "device")).toMatch(/^ONNX Runtime, WebGPU/);
    await second.page.close();
    // A driver that was taken away since: what WebAssembly needs was never fetched.
    await context.addInitScript('Object.defineProperty(Navigator.prototype, "gpu", { value: undefined })');
    const third = await open(context, `${server.url}?engine=onnxruntime`);
    await third.page.locator("#problem", { hasText: "cannot be fetched" }).waitFor();
    expect(await read(third.page, "problem")).toMatch(
      /(model|ort-wasm-simd-threaded)\.[0-9a-f]{8}\.\w+: cannot be fetched: .*, and is needed because webgpu is not used: this browser has no WebGPU/,
    );
  });

  test(
    "a GPU that computes one integer otherwise inside is left for WebAssembly, and the visitor is told",
    IN_BROWSER,
    async () => {
      const folder = join(root, "slipping-gpu");
      await cp(both.path, folder, { recursive: true });
      await withManifest(folder, (manifest) => ({
        ...manifest,
        models: manifest.models.map((each) => {
          if (each.device === "wasm") return each;
          const { outputs, tensors } = each.integers;
          const other = tensors.map((tensor) =>
            Object.assign({}, tensor, tensor.name === "relu5" && { sha256: "0".repeat(64) }),
          );
          return { ...each, integers: { outputs, tensors: other } };
        }),
      }));
      const { page } = await visit(folder, { using: gpu, query: "?engine=onnxruntime" });
      await ready(page);
      expect(await read(page, "device")).toMatch(/^ONNX Runtime, WebAssembly/);
      expect(await read(page, "problem")).toContain("WebAssembly is used instead");
      expect(await read(page, "refused")).toMatch(
        /^ONNX Runtime, WebGPU: .*self-test: integers of 1 of 13 tensors differ, the first is "relu5"/,
      );
      expect(await read(page, "self-test")).toMatch(/^passed/);
    },
  );

  test(
    "a GPU that computes something else is left for WebAssembly, and the visitor is told",
    IN_BROWSER,
    async () => {
      const folder = join(root, "wrong-gpu");
      await cp(both.path, folder, { recursive: true });
      const entry = both.manifest.models.find(({ device }) => device === "webgpu");
      const model = decodeModel(await readFile(join(folder, entry?.file ?? "")));
      // What a driver's bug would do: a number of the last layer is another one.
      const initializer = model.graph?.initializer?.map((each) => {
        const isLast = each.dataType === FLOAT && Number(each.dims?.at(-1)) === SHAPE_LABELS.length;
        if (!isLast || !each.rawData) return each;
        return { ...each, rawData: each.rawData.map((byte, i) => (i === 2 ? byte ^ 0x40 : byte)) };
      });
      const bytes = encodeModel({ ...model, graph: { ...model.graph, ...(initializer && { initializer }) } });
      await writeFile(join(folder, entry?.file ?? ""), bytes);
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      await withManifest(folder, (manifest) => ({
        ...manifest,
        models: manifest.models.map((each) =>
          each.device === "webgpu" ? { ...each, sha256, sizeBytes: bytes.length } : each,
        ),
      }));
      const { page } = await visit(folder, { using: gpu, query: "?engine=onnxruntime" });
      await ready(page);
      expect(await read(page, "device")).toMatch(/^ONNX Runtime, WebAssembly/);
      expect(await read(page, "problem")).toContain("WebAssembly is used instead");
      expect(await read(page, "refused")).toMatch(/^ONNX Runtime, WebGPU: .*self-test/);
      expect(await read(page, "self-test")).toMatch(/^passed/);
    },
  );
});
