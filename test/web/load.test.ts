import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { QdgError } from "../../src/base/error.js";
import { float32 } from "../../src/base/tensor.js";
import { encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import type { Session } from "../../src/runtime/runtime.js";
import type { Adapter, Platform } from "../../src/web/device.js";
import { loadEnsemble, loadEnsembleWith } from "../../src/web/ensemble.js";
import type { FileCache } from "../../src/web/file-cache.js";
import type { LoadOptions, LoadProgress } from "../../src/web/load.js";
import type { Manifest, WebDevice } from "../../src/web/manifest.js";
import type { WebRuntimeName } from "../../src/web/runtimes/web-runtime.js";
import type { Model } from "../../src/web/model.js";
import { Sketch } from "../runtime/sketch.js";
// ONNX Runtime and its devices; engine.test.ts is about the engine beside them.
import {
  errorOf,
  GPU,
  machine,
  NO_GPU,
  onnxruntimeLoad as load,
  onnxruntimeLoadOn as loadOn,
  sessions,
} from "./machine.js";
import { INPUT, onCpu, pathsOf, serve, sha256, shapeImage, shapesSite } from "./site.js";
import type { Site, TestServer } from "./site.js";

let site: Site;
let server: TestServer;
/** What the server serves; tests add to it under names of their own. */
const paths = new Map<string, Uint8Array | string>();
const stalls = new Set<string>();
/** The heaps of all WebAssembly modules that were started. */
const memories: { readonly buffer: { readonly byteLength: number } }[] = [];

beforeAll(async () => {
  const { WebAssembly } = globalThis as unknown as {
    WebAssembly: { Memory: new (limits: object) => (typeof memories)[number] };
  };
  WebAssembly.Memory = class extends WebAssembly.Memory {
    constructor(limits: object) {
      super(limits);
      memories.push(this);
    }
  };
  site = await shapesSite(false);
  for (const [path, body] of pathsOf(site, "m")) paths.set(path, body);
  // Without the runtime's 14 MB, which is started by then.
  for (const [path, body] of pathsOf(site, "lean", { ...site.manifest, runtime: { files: [] } })) {
    paths.set(path, body);
  }
  server = await serve(paths, {}, stalls);
});
afterAll(() => server.close());
beforeEach(() => {
  server.requests.length = 0;
  sessions.opened = 0;
  sessions.disposed = 0;
});

/** The answers of `device` are changed by `change`. */
function lying(
  device: WebDevice,
  change: (p: number) => number,
): (runtime: WebRuntimeName, session: Session) => Session {
  return (actual, session) =>
    actual.device !== device
      ? session
      : {
          ...session,
          run: async (feeds) => {
            const { classes, ...inner } = await session.run(feeds);
            if (classes?.dtype !== "float32") throw new Error("expected classes");
            return { ...inner, classes: { ...classes, data: (classes.data as Float32Array).map(change) } };
          },
        };
}

/** Serves a site under another name, with some of its files changed. */
function place(folder: string, files: Record<string, Uint8Array | string>, manifest?: unknown): string {
  for (const [path, body] of pathsOf(site, folder, manifest)) paths.set(path, body);
  for (const [name, body] of Object.entries(files)) paths.set(`${folder}/${name}`, body);
  return `${server.url}${folder}/`;
}

const wasmModel = (): Uint8Array => site.files.get("model.onnx") as Uint8Array;

const flipped = (bytes: Uint8Array): Uint8Array => {
  const copy = bytes.slice();
  copy[copy.length >> 1] = (copy[copy.length >> 1] as number) ^ 1;
  return copy;
};

const only = (device: WebDevice): Manifest => ({
  ...site.manifest,
  models: site.manifest.models.filter((model) => model.device === device),
  runtime: { files: [] },
});

function memory(): FileCache & { readonly entries: Map<string, Uint8Array<ArrayBuffer>> } {
  const entries = new Map<string, Uint8Array<ArrayBuffer>>();
  return {
    entries,
    get: async (key) => entries.get(key) ?? null,
    put: async (key, bytes) => void entries.set(key, bytes),
  };
}

const loadedOn =
  (platform: Platform): typeof load =>
  (url, options) =>
    loadOn(platform, url, options);

const labelsOf = ({ manifest }: Site): readonly string[] => manifest.classifier?.labels ?? [];

const fileAt = (name: string): string => `${server.url}m/${name}`;

const heapBytes = (): number => memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);

describe("load", () => {
  test("gives a model that answers as onnxruntime-node does, with what the manifest says", async () => {
    const model = await load(`${server.url}m/`);
    const images = Array.from({ length: 7 }, (_, i) => shapeImage(i, 31));
    const expected = await onCpu(wasmModel(), images);
    for (const [i, image] of images.entries()) {
      const { label, index, probabilities, latencyMs } = await model.classify(image);
      probabilities.forEach((p, k) => expect(Math.abs(p - (expected[i]?.[k] ?? NaN))).toBeLessThan(1e-6));
      expect(label).toBe(labelsOf(site)[index]);
      expect(index).toBe(expected[i]?.indexOf(Math.max(...(expected[i] ?? []))));
      expect(latencyMs).toBeGreaterThan(0);
    }
    expect(model).toMatchObject({
      url: `${server.url}m/model.onnx`,
      engine: "onnxruntime",
      device: "wasm",
      adapter: null,
      threads: 1,
      labels: labelsOf(site),
      inputs: [{ name: "input", dtype: "float32", shape: ["N", 32, 32, 3] }],
      selfTest: { device: "wasm", cases: 3, values: 21, tensors: 13, integers: 31_872 },
    });
    expect(model.selfTest?.largestDifference).toBeLessThan(1e-6);
    expect(model.fallbacks).toEqual([
      {
        engine: "onnxruntime",
        device: "webgpu",
        reason: expect.stringContaining("has no WebGPU") as string,
      },
    ]);
    await model.dispose();
  });

  test.each(["lean", "lean/", "lean/manifest.json", "lean?x=1"])("takes the address %s", async (path) => {
    const model = await load(new URL(path, server.url));
    expect(model.url).toContain("/lean/model.onnx");
    await model.dispose();
  });

  test("runs tensors by the model's names, and says what does not fit", async () => {
    const model = await load(`${server.url}lean/`);
    const data = new Float32Array(2 * 32 * 32 * 3);
    const { classes } = await model.run({ input: { dtype: "float32", shape: [2, 32, 32, 3], data } });
    expect(classes?.shape).toEqual([2, 7]);
    expect((await errorOf(model.run({ x: { dtype: "float32", shape: [], data } }))).code).toBe("runtime");
    await model.dispose();
  });

  test("calls that overlap all get their own answers", async () => {
    const model = await load(`${server.url}lean/`);
    const images = Array.from({ length: 6 }, (_, i) => shapeImage(i, 77));
    const alone: string[] = [];
    for (const image of images) alone.push((await model.classify(image)).probabilities.join());
    const together = await Promise.all(images.map((image) => model.classify(image)));
    expect(together.map(({ probabilities }) => probabilities.join())).toEqual(alone);
    expect(new Set(alone).size).toBe(6);
    await model.dispose();
  });

  test("reports bytes of a total that is known from the start", async () => {
    const seen: LoadProgress[] = [];
    const model = await loadOn(machine(NO_GPU), `${server.url}m/`, { onProgress: (now) => seen.push(now) });
    const [wasm, runtime] = [site.manifest.models[0], site.manifest.runtime.files[0]];
    const total = (wasm?.sizeBytes ?? 0) + (runtime?.sizeBytes ?? 0);
    expect(new Set(seen.map(({ totalBytes }) => totalBytes))).toEqual(new Set([total]));
    expect(seen.at(-1)?.loadedBytes).toBe(total);
    expect(seen.length).toBeGreaterThan(10);
    seen.forEach(({ loadedBytes }, i) => expect(loadedBytes).toBeGreaterThan(seen[i - 1]?.loadedBytes ?? 0));
    await model.dispose();
  });

  test("asks only for the files of the device it takes", async () => {
    const model = await loadOn(machine(NO_GPU), `${server.url}m/`);
    expect(server.requests.toSorted()).toEqual([
      "m/manifest.json",
      "m/model.onnx",
      "m/ort-wasm-simd-threaded.wasm",
    ]);
    await model.dispose();
  });
});

describe("an abort", () => {
  test.each(["manifest.json", "model.onnx", "ort-wasm-simd-threaded.wasm"])(
    "ends a load that waits for %s",
    async (file) => {
      const url = place("stalled", {});
      stalls.add(`stalled/${file}`);
      const controller = new AbortController();
      const loading = errorOf(loadOn(machine(NO_GPU), url, { signal: controller.signal }));
      await vi.waitFor(() => expect(server.requests).toContain(`stalled/${file}`));
      const reason = new Error("the visitor left");
      controller.abort(reason);
      const error = await loading;
      stalls.delete(`stalled/${file}`);
      expect(error.code).toBe("interrupted");
      expect(error.cause).toBe(reason);
      expect(sessions.opened).toBe(0);
    },
  );

  test("before the start asks the server for nothing", async () => {
    const error = await errorOf(load(`${server.url}m/`, { signal: AbortSignal.abort() }));
    expect(error.code).toBe("interrupted");
    expect(server.requests).toEqual([]);
  });

  test("during the self-test disposes of the session", async () => {
    const controller = new AbortController();
    const platform = machine(NO_GPU, (_, session) => ({
      ...session,
      run: (feeds) => {
        controller.abort();
        return session.run(feeds);
      },
    }));
    const error = await errorOf(loadOn(platform, `${server.url}lean/`, { signal: controller.signal }));
    expect(error.code).toBe("interrupted");
    expect([sessions.opened, sessions.disposed]).toEqual([1, 1]);
  });
});

describe("a file that is not what the manifest promises is never used", () => {
  test.each<[string, string, (bytes: Uint8Array) => Uint8Array, string]>([
    ["a model with one bit changed", "model.onnx", flipped, "got SHA-256"],
    ["a model cut short", "model.onnx", (bytes) => bytes.subarray(1), "got "],
    [
      "a model with a byte more",
      "model.onnx",
      (bytes) => Buffer.concat([bytes, new Uint8Array(1)]),
      "got over",
    ],
    ["an empty model", "model.onnx", () => new Uint8Array(0), "got 0 bytes"],
    ["the runtime with one bit changed", "ort-wasm-simd-threaded.wasm", flipped, "got SHA-256"],
  ])("%s", async (_, file, change, message) => {
    const url = place("tampered", { [file]: change(site.files.get(file) as Uint8Array) });
    const error = await errorOf(loadOn(machine(NO_GPU), url));
    expect(error.code).toBe("invalid-data");
    expect(error.message).toContain(`${url}${file}: ${message}`);
    expect(sessions.opened).toBe(0);
  });

  test("a changed model for webgpu is an error, not a fallback", async () => {
    const url = place("tampered-gpu", {
      "model.webgpu.onnx": flipped(site.files.get("model.webgpu.onnx") as Uint8Array),
    });
    const error = await errorOf(loadOn(machine(GPU), url));
    expect(error.message).toContain("model.webgpu.onnx: got SHA-256");
    expect(sessions.opened).toBe(0);
  });

  test("a picture of the self-test that does not come out as it was made", async () => {
    const { selfTest } = site.manifest;
    const cases = selfTest.cases.map((item) =>
      item.kind === "picture" ? Object.assign({}, item, { seed: item.seed + 1 }) : item,
    );
    const url = place("tampered-test", {}, { ...site.manifest, selfTest: { cases } });
    const error = await errorOf(loadOn(machine(NO_GPU), url));
    expect(error.message).toContain("self-test 0: picture: got SHA-256");
    expect(sessions.opened).toBe(0);
  });

  test("a quantized model whose known integers were left out of the manifest", async () => {
    const models = site.manifest.models.map((model) =>
      Object.assign({}, model, { integers: { outputs: "", tensors: [] } }),
    );
    const url = place("no-integers", {}, { ...site.manifest, models, runtime: { files: [] } });
    for (const adapter of [NO_GPU, GPU]) {
      const error = await errorOf(loadOn(machine(adapter), url));
      expect(error.message).toMatch(
        /got no known integers in the manifest, expected them.*\[invalid-data\]$/,
      );
    }
    expect(sessions.opened).toBe(0);
  });

  test("a missing file has its own code", async () => {
    const url = place("missing", {});
    paths.delete("missing/model.onnx");
    expect((await errorOf(loadOn(machine(NO_GPU), url))).code).toBe("not-found");
    expect((await errorOf(load(`${server.url}nowhere/`))).message).toContain("got HTTP status 404");
  });

  test("a server that is not there has its own code", async () => {
    const gone = await serve(new Map());
    await gone.close();
    expect((await errorOf(load(gone.url))).message).toMatch(/cannot be fetched.*\[io\]/);
  });

  test("a manifest whose file lies in another folder is refused before anything is fetched", async () => {
    const [wasm] = site.manifest.models;
    const url = place("outside", {}, { ...site.manifest, models: [{ ...wasm, file: "../m/model.onnx" }] });
    expect((await errorOf(load(url))).code).toBe("invalid-path");
    expect(server.requests).toEqual(["outside/manifest.json"]);
  });
});

describe("the device", () => {
  test.each<[string, Adapter, LoadOptions, "both" | WebDevice, WebDevice, string[]]>([
    ["auto with a GPU", GPU, {}, "both", "webgpu", []],
    ["auto without a GPU", NO_GPU, {}, "both", "wasm", ["there is no GPU adapter"]],
    ["auto without a file for webgpu", GPU, {}, "wasm", "wasm", ["the manifest has no model for webgpu"]],
    ["auto without a file for wasm", GPU, {}, "webgpu", "webgpu", []],
    ["wasm where there is a GPU", GPU, { device: "wasm" }, "both", "wasm", []],
    ["webgpu", GPU, { device: "webgpu" }, "both", "webgpu", []],
  ])("%s", async (_, adapter, options, files, device, reasons) => {
    const url = place(
      `only-${files}`,
      {},
      files === "both" ? { ...site.manifest, runtime: { files: [] } } : only(files),
    );
    const model = await loadOn(machine(adapter), url, options);
    expect(model.device).toBe(device);
    expect(model.adapter).toBe(device === "webgpu" ? "fake GPU" : null);
    expect(model.fallbacks.map(({ reason }) => reason)).toEqual(reasons);
    expect((await model.classify(shapeImage(2))).label).toBe("heart");
    await model.dispose();
  });

  test.each<[string, Adapter, LoadOptions, WebDevice]>([
    ["webgpu is asked for and there is no GPU", NO_GPU, { device: "webgpu" }, "webgpu"],
    ["webgpu is asked for and there is no file for it", GPU, { device: "webgpu" }, "wasm"],
    ["wasm is asked for and there is no file for it", GPU, { device: "wasm" }, "webgpu"],
    ["there is a file for webgpu alone, and no GPU", NO_GPU, {}, "webgpu"],
  ])("is an error when %s", async (_, adapter, options, files) => {
    const error = await errorOf(loadOn(machine(adapter), place("single", {}, only(files)), options));
    expect(error.code).toBe("unavailable");
    expect(error.message).toMatch(/no GPU|no model for/);
  });

  test("falls back to wasm when the session cannot be made on the GPU, and says why", async () => {
    const broken = machine(GPU, ({ device }, session) => {
      if (device === "webgpu") throw new QdgError("runtime", "model", "out of GPU memory");
      return session;
    });
    const model = await loadOn(broken, `${server.url}lean/`);
    expect(model.device).toBe("wasm");
    expect(model.fallbacks).toEqual([
      { engine: "onnxruntime", device: "webgpu", reason: "model: out of GPU memory [runtime]" },
    ]);
    await model.dispose();
  });

  test.each<[string, (p: number) => number]>([
    ["slightly other numbers", (p) => p + 3e-5],
    ["NaN", () => NaN],
    ["zeros", () => 0],
  ])("falls back to wasm when the GPU's self-test gives %s, and says so", async (_, change) => {
    const model = await loadOn(machine(GPU, lying("webgpu", change)), `${server.url}lean/`);
    expect(model.device).toBe("wasm");
    expect(model.fallbacks[0]?.reason).toMatch(
      /self-test 0, output "classes": element \d: got .* expected .* webgpu of this machine/,
    );
    expect(model.selfTest?.device).toBe("wasm");
    expect([sessions.opened, sessions.disposed]).toEqual([4, 3]);
    await model.dispose();
  });

  test("is an error when the self-test fails on wasm, or on the device that was asked for", async () => {
    const onWasm = await errorOf(
      loadOn(
        machine(
          NO_GPU,
          lying("wasm", (p) => p * 1.001),
        ),
        `${server.url}lean/`,
      ),
    );
    expect(onWasm.message).toContain("wasm of this machine does not compute");
    const asked = loadOn(
      machine(
        GPU,
        lying("webgpu", (p) => p * 1.001),
      ),
      `${server.url}lean/`,
      { device: "webgpu" },
    );
    expect((await errorOf(asked)).message).toContain("webgpu of this machine does not compute");
    expect([sessions.opened, sessions.disposed]).toEqual([4, 4]);
  });

  test("is an error when the files are for another network than the manifest says", async () => {
    const classifier = { ...site.manifest.classifier, input: { ...INPUT, height: 28 } };
    const error = await errorOf(
      loadOn(machine(NO_GPU), place("other", {}, { ...site.manifest, classifier })),
    );
    expect(error.message).toContain(
      'input: got "input" float32 [N, 32, 32, 3], expected "input" float32 [1, 28, 32, 3]',
    );
    expect([sessions.opened, sessions.disposed]).toEqual([1, 1]);
  });
});

describe("options", () => {
  test.each<[LoadOptions, string]>([
    [{ device: "gpu" as never }, 'device: got "gpu", expected auto, webgpu or wasm'],
    [{ threads: 0 }, "threads: got 0, expected an integer >= 1"],
    [{ threads: 2 }, "threads: got 2, but this page is not cross-origin isolated"],
    [{ device: "webgpu", threads: 1.5 }, "no WebGPU"],
    [{ onnx: { labels: [] } }, "onnx: these options are for a file without a manifest"],
  ])("%j", async (options, message) => {
    expect((await errorOf(load(`${server.url}lean/`, options))).message).toContain(message);
  });

  test("an address that is none", async () => {
    expect((await errorOf(load("model/"))).message).toMatch(/^url: got "model\/", expected an address/);
    const others: readonly unknown[] = [null, undefined, 5, {}, ["a"], Symbol("a"), 1n, () => "a"];
    for (const url of others) {
      const error = await errorOf(load(url as string));
      expect(error.message).toMatch(/^url: got .*, expected an address: a text or a URL \[usage\]$/);
      expect((await errorOf(loadEnsemble([url as string]))).message).toMatch(/^urls\[0\]: got/);
    }
  });

  const itself: Record<string, unknown> = {};
  itself["onProgress"] = itself;
  test.each<[unknown, string]>([
    [null, "options: got null, expected an object with device, engine, model, onProgress"],
    ["wasm", 'options: got "wasm", expected an object'],
    [{ devise: "wasm" }, 'options: unknown key "devise", expected device, engine, model'],
    [{ device: null }, "device: got null, expected auto"],
    [{ onProgress: "log" }, 'onProgress: got "log", expected a function'],
    [itself, "onProgress: got [object Object], expected a function"],
    [{ signal: {} }, "signal: got {}, expected an AbortSignal"],
    [{ cache: "no" }, 'cache: got "no", expected true or false'],
    [{ wasmPaths: 1 }, "wasmPaths: got 1, expected a folder's address, or { mjs, wasm }"],
    [{ wasmPaths: { wasm: 1 } }, 'wasmPaths: got {"wasm":1}, expected'],
    [{ threads: "2" }, 'threads: got "2", expected an integer >= 1'],
    [{ threads: 1n }, "threads: got 1, expected an integer >= 1"],
    [{ onnx: null }, "onnx: got null, expected an object with preprocessing, labels"],
    [{ onnx: { labels: "ab" } }, 'onnx.labels: got "ab", expected a list of texts'],
    [{ onnx: { preprocessing: [] } }, "onnx.preprocessing: got [], expected an object"],
    [{ onnx: { layout: "hwc" } }, 'onnx.layout: got "hwc", expected "nhwc" or "nchw"'],
    [{ onnx: { output: { name: "y", kind: "logit" } } }, "onnx.output: got"],
    [{ onnx: { sha256: "A" } }, 'onnx.sha256: got "A", expected 64 hexadecimal digits'],
  ])("of another type are an error before anything is fetched: %#", async (options, message) => {
    for (const loading of [
      () => load(`${server.url}lean/`, options as LoadOptions),
      () => loadEnsemble([`${server.url}lean/`], options as LoadOptions),
    ]) {
      expect((await errorOf(loading())).message).toContain(message);
    }
    expect(server.requests).toEqual([]);
  });
});

describe("the cache", () => {
  test("makes a second load ask for the manifest alone, and counts the same bytes", async () => {
    const cache = memory();
    const first: LoadProgress[] = [];
    const second: LoadProgress[] = [];
    const platform = machine(NO_GPU, undefined, cache);
    await (await loadOn(platform, `${server.url}m/`, { onProgress: (now) => first.push(now) })).dispose();
    const kept = [site.manifest.models[0]?.sha256, site.manifest.runtime.files[0]?.sha256];
    expect(new Set(cache.entries.keys())).toEqual(new Set(kept));
    server.requests.length = 0;
    await (await loadOn(platform, `${server.url}m/`, { onProgress: (now) => second.push(now) })).dispose();
    expect(server.requests).toEqual(["m/manifest.json"]);
    expect(second.at(-1)).toEqual(first.at(-1));
  });

  test("is not believed: an entry with other bytes is fetched again", async () => {
    const cache = memory();
    const hash = sha256(wasmModel());
    cache.entries.set(hash, new Uint8Array(5));
    const model = await loadOn(machine(NO_GPU, undefined, cache), `${server.url}lean/`);
    expect(server.requests).toContain("lean/model.onnx");
    expect(cache.entries.get(hash)).toEqual(new Uint8Array(wasmModel()));
    await model.dispose();
  });

  test("is neither read nor filled with cache: false", async () => {
    const cache = memory();
    const model = await loadOn(machine(NO_GPU, undefined, cache), `${server.url}lean/`, { cache: false });
    expect(cache.entries.size).toBe(0);
    await model.dispose();
  });
});

describe("a call with arguments of another type is an error, and the model goes on", () => {
  let model: Model;
  beforeAll(async () => {
    model = await load(`${server.url}lean/`);
  });
  afterAll(() => model.dispose());

  const pixels = new Float32Array(32 * 32 * 3);
  const shape = [1, 32, 32, 3];
  test.each<[unknown, string]>([
    [null, 'got null for feeds, expected "input" float32 [N, 32, 32, 3], by name [runtime]'],
    [undefined, "got undefined for feeds"],
    ["input", "got string for feeds"],
    [[pixels], 'got a feed for "0"'],
    [{ input: null }, 'input "input": got no tensor, expected { dtype, shape, data } of float32'],
    [{ input: pixels }, "got no tensor"],
    [{ input: { dtype: "float32", shape: "N", data: pixels } }, "got no tensor"],
    [{ input: { dtype: "float32", shape } }, "got no tensor"],
    [{ input: { dtype: "float32", shape, data: Array.from(pixels) } }, "data: got no Float32Array"],
    [{ input: { dtype: "float32", shape, data: new Float64Array(pixels) } }, "data: got no Float32Array"],
  ])("run: %#", async (feeds, message) => {
    expect((await errorOf(model.run(feeds as never))).message).toContain(message);
    expect(await model.run({ input: { dtype: "float32", shape, data: pixels } })).toHaveProperty("classes");
  });

  test.each<[unknown]>([
    [null],
    [undefined],
    ["a.png"],
    [{}],
    [[]],
    [{ channels: 3, data: new Uint8Array(3) }],
    [{ channels: 3, width: "1", height: 1, data: new Uint8Array(3) }],
    [{ channels: 2, width: 1, height: 1, data: new Uint8Array(2) }],
    [{ width: 1, height: 1, data: new Float32Array(4) }],
  ])("classify: %#", async (image) => {
    await errorOf(model.classify(image as never));
    expect((await model.classify(shapeImage(0))).label).toBe("circle");
  });
});

describe("dispose", () => {
  test("twice is once, and every call after it is an error", async () => {
    const model = await loadOn(machine(NO_GPU), `${server.url}lean/`);
    await Promise.all([model.dispose(), model.dispose()]);
    await model.dispose();
    // The session that gave out the integers was closed by load.
    expect([sessions.opened, sessions.disposed]).toEqual([2, 2]);
    expect((await errorOf(model.run({}))).message).toContain("the model was disposed of; load it again");
    expect((await errorOf(model.classify(shapeImage(0)))).message).toContain("disposed of");
  });

  test("lets a run that was called before it finish", async () => {
    const model = await load(`${server.url}lean/`);
    const running = model.classify(shapeImage(3));
    // classify decodes first; by now it waits for the network.
    await Promise.resolve().then(() => undefined);
    await model.dispose();
    expect((await running).label).toBe("ring");
  });

  test("waits for a picture that is still being decoded, and for what follows, of one model and of several", async () => {
    const platform = machine(NO_GPU);
    const models = [
      await loadedOn(platform)(`${server.url}lean/`),
      await loadEnsembleWith(loadedOn(platform), [`${server.url}lean/`, `${server.url}m/`], {}),
    ];
    for (const model of models) {
      const before = sessions.disposed;
      const classified = model
        .classify(shapeImage(2))
        .then(({ label }) => [label, sessions.disposed - before]);
      const disposed = model.dispose();
      const after = errorOf(model.classify(shapeImage(2)));
      expect(await classified).toEqual(["heart", 0]);
      expect((await after).message).toContain("the model was disposed of; load it again [runtime]");
      await disposed;
      expect(model.dispose()).toBe(disposed);
    }
    expect(sessions.disposed).toBe(sessions.opened);
  });

  test("ends after a call that fails, too", async () => {
    const model = await load(`${server.url}lean/`);
    const failing = errorOf(model.run(null as never));
    await model.dispose();
    expect((await failing).code).toBe("runtime");
  });

  test("50 loads and disposals take no more memory than 10", async () => {
    let afterTen = 0;
    for (let i = 1; i <= 50; i++) {
      const model = await load(`${server.url}lean/`);
      await model.classify(shapeImage(i));
      await model.dispose();
      if (i === 10) afterTen = heapBytes();
    }
    expect(afterTen).toBeGreaterThan(0);
    expect(heapBytes()).toBe(afterTen);
  });
});

describe("loadEnsemble", () => {
  test("averages the probabilities of its models", async () => {
    let turn = 0;
    const platform = machine(NO_GPU, (_, session) => {
      const second = session.outputs.length === 1 && turn++ === 1;
      return {
        ...session,
        run: async (feeds) => {
          const results = await session.run(feeds);
          const { classes } = results;
          // Only after the self-test, which must see the true numbers.
          if (classes === undefined || !second || runs++ < 3) return results;
          return { classes: { ...classes, data: (classes.data as Float32Array).toReversed() } };
        },
      };
    });
    let runs = 0;
    const ensemble = await loadEnsembleWith(
      loadedOn(platform),
      [`${server.url}lean/`, `${server.url}m/`],
      {},
    );
    const [expected = []] = await onCpu(wasmModel(), [shapeImage(1)]);
    const { probabilities, label } = await ensemble.classify(shapeImage(1));
    const sum = probabilities.reduce((total, p) => total + p, 0);
    expect(sum).toBeCloseTo(1, 6);
    probabilities.forEach((p, k) =>
      expect(p).toBeCloseTo(((expected[k] ?? NaN) + (expected[6 - k] ?? NaN)) / 2, 6),
    );
    expect(labelsOf(site)).toContain(label);
    await ensemble.dispose();
    expect([sessions.opened, sessions.disposed]).toEqual([4, 4]);
  });

  test("adds up the progress of all", async () => {
    const seen: LoadProgress[] = [];
    const ensemble = await loadEnsembleWith(load, [`${server.url}lean/`, `${server.url}lean/`], {
      onProgress: (now) => seen.push(now),
    });
    expect(seen.at(-1)).toEqual({ loadedBytes: 2 * wasmModel().length, totalBytes: 2 * wasmModel().length });
    await ensemble.dispose();
  });

  test("is an error without models, with other labels, and when one fails; nothing stays open", async () => {
    const platform = machine(NO_GPU);
    expect((await errorOf(loadEnsembleWith(loadedOn(platform), [], {}))).code).toBe("usage");
    const classifier = { ...site.manifest.classifier, labels: labelsOf(site).toReversed() };
    const other = { ...site.manifest, classifier, runtime: { files: [] } };
    const urls = [`${server.url}lean/`, place("reversed", {}, other)];
    expect((await errorOf(loadEnsembleWith(loadedOn(platform), urls, {}))).message).toContain(
      "labels: got triangle",
    );
    const gone = [`${server.url}lean/`, `${server.url}nowhere/`];
    expect((await errorOf(loadEnsembleWith(loadedOn(platform), gone, {}))).code).toBe("not-found");
    expect([sessions.opened, sessions.disposed]).toEqual([6, 6]);
  });
});

describe("a bare ONNX file", () => {
  test("says itself how to classify, and brings no self-test", async () => {
    const model: Model = await load(fileAt("model.onnx"));
    expect(model).toMatchObject({ device: "wasm", labels: labelsOf(site), selfTest: null });
    expect(model.fallbacks).toEqual([
      { engine: "onnxruntime", device: "webgpu", reason: "the file was not exported for webgpu" },
    ]);
    const [expected] = await onCpu(wasmModel(), [shapeImage(5)]);
    const { label, probabilities } = await model.classify(shapeImage(5));
    expect(label).toBe("star");
    probabilities.forEach((p, k) => expect(p).toBeCloseTo(expected?.[k] ?? NaN, 6));
    await model.dispose();
  });

  test("that was exported for webgpu goes there", async () => {
    const model = await loadOn(machine(GPU), fileAt("model.webgpu.onnx"));
    expect(model.device).toBe("webgpu");
    expect((await model.classify(shapeImage(5))).label).toBe("star");
    await model.dispose();
  });

  test("takes what the caller says before what it says itself", async () => {
    const labels = ["a", "b", "c", "d", "e", "f", "g"];
    const model = await load(fileAt("model.onnx"), {
      onnx: { labels, sha256: sha256(wasmModel()), output: { name: "classes", kind: "logits" } },
    });
    const { label, probabilities } = await model.classify(shapeImage(0));
    expect(label).toBe("a");
    // A softmax of probabilities is flat: the caller's word was taken.
    expect(Math.max(...probabilities)).toBeLessThan(0.4);
    await model.dispose();
    const wrong = errorOf(load(fileAt("model.onnx"), { onnx: { sha256: "0".repeat(64) } }));
    expect((await wrong).code).toBe("invalid-data");
  });

  test.each<[string, LoadOptions["onnx"], string]>([
    ["labels of another count", { labels: ["a"] }, "expected one output with a number for each of 1 labels"],
    ["no labels", { labels: [] }, "the file does not say its labels"],
    ["another layout", { layout: "nchw" }, "expected an image of fixed size with 1 or 3 channels"],
    ["an output that is not there", { output: { name: "x", kind: "logits" } }, 'expected "x" among them'],
  ])("with %s is an error of classify, not of run", async (_, onnx, message) => {
    const model = await load(fileAt("model.onnx"), { ...(onnx && { onnx }) });
    const data = new Float32Array(32 * 32 * 3);
    await model.run({ input: { dtype: "float32", shape: [1, 32, 32, 3], data } });
    expect((await errorOf(model.classify(shapeImage(0)))).message).toContain(message);
    await model.dispose();
  });

  test("with several inputs runs, and says that it cannot classify", async () => {
    const sketch = new Sketch();
    const [a, b] = [float32([1, 2], [1, 2]), float32([1, 2], [10, 20])];
    const sum = sketch.node("Add", [sketch.input("a", a), sketch.input("b", b)]);
    const { graph } = sketch.model(sum, [1, 2], null);
    paths.set(
      "two/a.onnx",
      encodeModel(graphToModel(graph, { opset: 21, irVersion: 10, producerVersion: "test" })),
    );
    const model = await load(`${server.url}two/a.onnx`, { onnx: { labels: ["x", "y"] } });
    const [output] = Object.values(await model.run({ a, b }));
    expect(output?.data).toEqual(Float32Array.of(11, 22));
    const error = await errorOf(model.classify(shapeImage(0)));
    expect(error.message).toContain(
      "got a model with 2 inputs, expected one; feed them all to run() [usage]",
    );
    await model.dispose();
  });

  test("that is none is an error", async () => {
    paths.set("bad/a.onnx", "<!doctype html><title>not found</title>");
    expect((await errorOf(load(`${server.url}bad/a.onnx`))).code).toBe("invalid-onnx");
  });
});
