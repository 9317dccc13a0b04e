import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import sharp from "sharp";
import { build, type Rolldown } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeImage } from "../../src/image/decode.js";
import { encodePng } from "../../src/image/encode.js";
import { imageToTensor } from "../../src/image/to-tensor.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import type { LoadOptions } from "../../src/web/load.js";
import { startChromium } from "../support/chromium.js";
import { BROWSER } from "../support/needs.js";
import { INPUT, onCpu, pathsOf, PREPROCESSING, serve, sha256, shapeImage, shapesSite } from "./site.js";
import type { Site, TestServer } from "./site.js";

const ISOLATED = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; img-src blob:",
};
let site: Site;
let server: TestServer;
let browser: Browser;
let page: Page;
let script: string;
let code: string;

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

/** A fresh page, on which nothing is started yet. */
async function open(from: Browser): Promise<Page> {
  const opened = await (await from.newContext()).newPage();
  // So that the sizes of all WebAssembly heaps can be read.
  await opened.addInitScript(`{
    globalThis.heaps = [];
    WebAssembly.Memory = class extends WebAssembly.Memory {
      constructor(limits) { super(limits); heaps.push(this); }
    };
  }`);
  await opened.goto(`${server.url}index.html`);
  await opened.waitForFunction("globalThis.qdg !== undefined");
  return opened;
}

/** Runs `body` on a page; `model` is the model in `folder`, disposed of afterwards. */
async function withModel<T>(
  body: string,
  options: LoadOptions = { device: "wasm" },
  on: Page = page,
  folder = "m/",
): Promise<T> {
  return on.evaluate(`(async () => {
    const blobOf = async (name) => (await fetch(name)).blob();
    const model = await qdg.load("${folder}", ${JSON.stringify(options)});
    try {
      ${body}
    } finally {
      await model.dispose();
    }
  })()`);
}

/** The message of what an expression throws on the page. */
function errorOf(expression: string, on: Page = page): Promise<string> {
  return on.evaluate(`(async () => ${expression})().then(() => "nothing thrown", (thrown) =>
    (thrown instanceof qdg.QdgError ? "" : "no QdgError: ") + thrown.message)`);
}

beforeAll(async () => {
  site = await shapesSite(true);
  const chunks = await bundle();
  script = [...chunks.keys()].find((name) => name.includes("page")) ?? "";
  code = chunks.get(script) ?? "";
  const html = `<!doctype html><title>test</title><script type="module" src="./${script}"></script>`;
  const damaged = Uint8Array.from(
    site.files.get("model.onnx") as Uint8Array,
    (byte, i) => byte ^ Number(i === 9000),
  );
  const liar = otherWeights(site.files.get("model.webgpu.onnx") as Uint8Array);
  const promised = { sha256: sha256(liar), sizeBytes: liar.length };
  server = await serve(
    new Map<string, Uint8Array | string>([
      ...pathsOf(site, "m"),
      ...pathsOf(site, "tampered"),
      ["tampered/model.onnx", damaged],
      ...pathsOf(site, "liar", {
        ...site.manifest,
        models: site.manifest.models.map((model) => ({
          ...model,
          ...(model.device === "webgpu" && promised),
        })),
      }),
      ["liar/model.webgpu.onnx", liar],
      ...chunks,
      ["index.html", html],
      ["shape.png", await encodePng(shapeImage(4))],
      ...(await pictures()),
      ["text.png", "this is no image"],
    ]),
    ISOLATED,
  );
}, 180_000);

afterAll(() => server?.close());

/** The same network with other weights: what a broken GPU looks like. */
function otherWeights(bytes: Uint8Array): Uint8Array {
  // A copy: decoded tensors are views on the file.
  const model = decodeModel(bytes.slice(), "model");
  const weights = model.graph?.initializer?.find(({ rawData }) => (rawData?.length ?? 0) > 1000);
  weights?.rawData?.set(weights.rawData.map((byte) => byte ^ 255));
  return encodeModel(model);
}

/** Large, noisy pictures, so that the resampler has work and one wrong pixel shows. */
async function pictures(): Promise<[string, Uint8Array][]> {
  let state = 1;
  const [width, height] = [301, 207];
  const noise = (channels: 3 | 4): ReturnType<typeof sharp> => {
    const data = Uint8Array.from({ length: width * height * channels }, (_, i) => {
      state = (state * 48271) % 2147483647;
      return (state % 90) + (i % 166);
    });
    return sharp(data, { raw: { width, height, channels } });
  };
  return Promise.all(
    [
      ["noise.png", noise(3).png()] as const,
      ["gray.png", noise(3).grayscale().png()] as const,
      ["palette.png", noise(3).png({ palette: true })] as const,
      ["alpha.png", noise(4).png()] as const,
      ["turned.jpg", noise(3).withMetadata({ orientation: 6 }).jpeg({ quality: 95 })] as const,
      ["wide-gamut.png", noise(3).withIccProfile("p3").png()] as const,
      ["photo.jpg", noise(3).jpeg()] as const,
      ["photo.webp", noise(3).webp({ lossless: true })] as const,
    ].map(async ([name, image]) => [name, new Uint8Array(await image.toBuffer())] as [string, Uint8Array]),
  );
}

/** SHA-256 of the input tensor that the page makes of a file. */
const tensorHash = (name: string): Promise<string> =>
  page.evaluate(`(async () => {
    const image = await decodeBrowserImage(await (await fetch("${name}")).blob());
    const { data } = imageToTensor(image, ${JSON.stringify({ ...INPUT, preprocessing: PREPROCESSING })});
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  })()`);
const inNode = async (name: string): ReturnType<typeof decodeImage> =>
  decodeImage(server.files.get(name) as Uint8Array);

test("qdg/web bundles small, without the runtimes, protobufjs or anything of Node's", () => {
  expect(code).toContain("the model was disposed of");
  expect(brotliCompressSync(code).length).toBeLessThan(20_000);
  expect(code).not.toMatch(/protobuf\.|node:|process\.|InferenceSession\s*=/);
});

describe("in a browser", BROWSER, () => {
  beforeAll(async () => {
    browser = await startChromium({ gpu: false });
    page = await open(browser);
  });
  afterAll(() => browser?.close());

  describe("an image", () => {
    test.each(["shape.png", "noise.png", "gray.png", "palette.png", "photo.webp"])(
      "of %s gives the very input tensor that Node gives",
      async (name) => {
        const { data } = imageToTensor(await inNode(name), { ...INPUT, preprocessing: PREPROCESSING });
        expect(await tensorHash(name)).toBe(sha256(new Uint8Array(data.buffer)));
      },
    );

    test.each([
      ["alpha.png", 1],
      ["wide-gamut.png", 1],
      // Decoders of JPEG may round apart.
      ["turned.jpg", 2],
    ])("of %s is decoded as in Node within %d level", async (name, levels) => {
      const node = await inNode(name);
      const { width, height, data } = await page.evaluate<{ width: number; height: number; data: string }>(
        `(async () => {
        const image = await decodeBrowserImage(await (await fetch("${name}")).blob());
        return { ...image, data: Array.from(image.data, (byte) => String.fromCharCode(byte)).join("") };
      })()`,
      );
      expect([width, height]).toEqual([node.width, node.height]);
      const most = node.data.reduce(
        (max, value, i) => Math.max(max, Math.abs(value - data.charCodeAt(i))),
        0,
      );
      expect(most).toBeLessThanOrEqual(levels);
    });

    test("is taken in all the forms that a page has, with one answer", async () => {
      const answers = await withModel<Record<string, { label: string; probabilities: number[] }>>(`
      const blob = await blobOf("shape.png");
      const bitmap = await createImageBitmap(blob);
      const draw = (canvas) => {
        Object.assign(canvas, { width: 32, height: 32 });
        canvas.getContext("2d").drawImage(bitmap, 0, 0);
        return canvas;
      };
      const canvas = draw(document.createElement("canvas"));
      const img = new Image();
      img.src = URL.createObjectURL(blob);
      const forms = {
        blob,
        file: new File([blob], "shape.png"),
        img,
        bitmap,
        canvas,
        offscreen: draw(new OffscreenCanvas(1, 1)),
        imageData: canvas.getContext("2d").getImageData(0, 0, 32, 32),
      };
      const answers = {};
      for (const [name, form] of Object.entries(forms)) answers[name] = await model.classify(form);
      return answers;
    `);
      const [expected = []] = await onCpu(site.files.get("model.onnx") as Uint8Array, [shapeImage(4)]);
      expect(Object.keys(answers)).toHaveLength(7);
      for (const { label, probabilities } of Object.values(answers)) {
        expect(label).toBe("square");
        probabilities.forEach((p, k) => expect(p).toBeCloseTo(expected[k] ?? NaN, 6));
        expect(probabilities).toEqual(answers["blob"]?.probabilities);
      }
    });

    test("of a video is the frame that is shown", async () => {
      const answer = await withModel<{ label: string; before: string }>(`
      const canvas = document.createElement("canvas");
      Object.assign(canvas, { width: 32, height: 32 });
      const context = canvas.getContext("2d");
      const video = document.createElement("video");
      const before = await model.classify(video).catch((thrown) => thrown.message);
      Object.assign(video, { muted: true, srcObject: canvas.captureStream() });
      const bitmap = await createImageBitmap(await blobOf("shape.png"));
      const timer = setInterval(() => context.drawImage(bitmap, 0, 0), 20);
      await video.play();
      await new Promise((done) => setTimeout(done, 300));
      const { label } = await model.classify(video);
      clearInterval(timer);
      return { label, before };
    `);
      expect(answer.label).toBe("square");
      expect(answer.before).toContain("image: cannot be decoded");
    });

    test("that is none is an error", async () => {
      const errors = await withModel<string[]>(`
      const forms = [await blobOf("text.png"), new Blob([]), {}, 3, undefined, document.createElement("p")];
      return Promise.all(forms.map((form) => model.classify(form).catch((thrown) => thrown.message)));
    `);
      expect(errors).toHaveLength(6);
      errors.forEach((message) => expect(message).toMatch(/^image: .*expected a Blob.*\[invalid-data\]$/));
    });
  });

  describe("a model", () => {
    test("falls back to wasm where the site has no engine and there is no GPU, and says so", async () => {
      const model = await withModel<{ device: string; fallbacks: unknown; selfTest: object }>(
        "return { device: model.device, fallbacks: model.fallbacks, selfTest: model.selfTest };",
        {},
      );
      expect(model.device).toBe("wasm");
      expect(model.fallbacks).toEqual([
        { engine: "qdg", device: "wasm", reason: "the site was deployed without it" },
        { engine: "onnxruntime", device: "webgpu", reason: "there is no GPU adapter" },
      ]);
      expect(model.selfTest).toMatchObject({ device: "wasm", cases: 3, values: 21, integers: 31_872 });
      expect(await errorOf('qdg.load("m/", { device: "webgpu" })')).toContain(
        "webgpu: there is no GPU adapter",
      );
    });

    test("is loaded with progress, and from the cache at the second visit", async () => {
      interface Seen {
        readonly loadedBytes: number;
        readonly totalBytes: number;
      }
      const visitor = await open(browser);
      const visit = (): Promise<Seen[]> =>
        visitor.evaluate(`(async () => {
        const seen = [];
        const model = await qdg.load("m/", { device: "wasm", onProgress: (now) => seen.push(now) });
        await model.dispose();
        return seen;
      })()`);
      const seen = await visit();
      await visitor.reload();
      await visitor.waitForFunction("globalThis.qdg !== undefined");
      server.requests.length = 0;
      const again = await visit();
      expect(server.requests.filter((path) => /\.(onnx|wasm)$/.test(path))).toEqual([]);
      expect(again.at(-1)).toEqual(seen.at(-1));
      await visitor.evaluate("qdg.clearCache()");
      await visit();
      expect(server.requests.filter((path) => path.endsWith(".onnx"))).toEqual(["m/model.onnx"]);
      await visitor.context().close();
      const { loadedBytes, totalBytes } = seen.at(-1) ?? { loadedBytes: 0, totalBytes: 1 };
      expect(loadedBytes).toBe(totalBytes);
      expect(totalBytes).toBeGreaterThan(14_000_000);
      expect(seen.length).toBeGreaterThan(5);
    });

    test("whose load is aborted throws, and can be loaded again on the same page", async () => {
      const visitor = await open(browser);
      const message = await errorOf(
        `{
        const controller = new AbortController();
        await qdg.load("m/", {
          device: "wasm",
          signal: controller.signal,
          onProgress: ({ loadedBytes }) => { if (loadedBytes > 1e6) controller.abort(); },
        });
      }`,
        visitor,
      );
      expect(message).toContain("loading was aborted [interrupted]");
      const body = 'return (await model.classify(await blobOf("shape.png"))).label;';
      expect(await withModel(body, { device: "wasm" }, visitor)).toBe("square");
      await visitor.context().close();
    });

    test("whose file was tampered with is refused", async () => {
      // Where the cache holds the true file, that one is used.
      expect(await errorOf('qdg.load("tampered/", { device: "wasm", cache: false })')).toMatch(
        /tampered\/model\.onnx: got SHA-256 .* is not used/,
      );
    });

    test("classifies in a worker", async () => {
      const answer = await page.evaluate(`(async () =>
      classifyInWorker("m/", await (await fetch("shape.png")).blob(), { device: "wasm" }))()`);
      expect(answer).toMatchObject({ label: "square", device: "wasm" });
    });

    test("runs with two threads where the page is isolated, with the same answer", async () => {
      const visitor = await open(browser);
      const body = `const { probabilities } = await model.classify(await blobOf("shape.png"));
      return { threads: model.threads, probabilities };`;
      const two = await withModel<object>(body, { device: "wasm", threads: 2 }, visitor);
      const one = await withModel<{ probabilities: number[] }>(body, { device: "wasm" });
      expect(two).toEqual({ threads: 2, probabilities: one.probabilities });
      expect(await errorOf('qdg.load("m/", { device: "wasm", threads: 1 })', visitor)).toContain(
        "threads: got 1, expected 2 as in the first model of this page",
      );
      await visitor.context().close();
    });

    test("50 loads and disposals take no more memory than 10", async () => {
      const [ten, fifty] = await page.evaluate<[number, number]>(`(async () => {
      const bytes = () => heaps.reduce((sum, heap) => sum + heap.buffer.byteLength, 0);
      const blob = await (await fetch("shape.png")).blob();
      let ten = 0;
      for (let i = 1; i <= 50; i++) {
        const model = await qdg.load("m/", { device: "wasm" });
        await model.classify(blob);
        await model.dispose();
        if (i === 10) ten = bytes();
      }
      return [ten, bytes()];
    })()`);
      expect(ten).toBeGreaterThan(0);
      expect(fifty).toBe(ten);
    });
  });

  test(
    "on a GPU: webgpu is taken and answers as Node does; one that computes otherwise falls back to wasm",
    { timeout: 300_000, ...BROWSER },
    async () => {
      const gpu = await startChromium({ gpu: true });
      try {
        const visitor = await open(gpu);
        const body = `
      const { probabilities } = await model.classify(await blobOf("shape.png"));
      const { device, adapter, fallbacks } = model;
      return { device, adapter, fallbacks, probabilities };`;
        interface Answer {
          readonly device: string;
          readonly adapter: string | null;
          readonly fallbacks: readonly { readonly reason: string }[];
          readonly probabilities: readonly number[];
        }
        const answer = await withModel<Answer>(body, { engine: "onnxruntime" }, visitor);
        expect(answer).toMatchObject({
          device: "webgpu",
          adapter: expect.stringMatching(/swiftshader/i),
          fallbacks: [],
        });
        const [expected = []] = await onCpu(site.files.get("model.onnx") as Uint8Array, [shapeImage(4)]);
        answer.probabilities.forEach((p, k) => expect(p).toBeCloseTo(expected[k] ?? NaN, 6));

        const liar = await withModel<Answer>(body, { engine: "onnxruntime" }, visitor, "liar/");
        expect(liar).toMatchObject({ device: "wasm", adapter: null });
        expect(liar.fallbacks).toHaveLength(1);
        expect(liar.fallbacks[0]?.reason).toMatch(
          /self-test: integers of \d+ of 13 tensors differ.*webgpu of this machine/,
        );
        liar.probabilities.forEach((p, k) => expect(p).toBeCloseTo(expected[k] ?? NaN, 6));
      } finally {
        await gpu.close();
      }
    },
  );
});
