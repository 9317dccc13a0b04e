import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { QdgError } from "../../src/base/error.js";
import { encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { float32 } from "../../src/base/tensor.js";
import { load, loadOn, type LoadOptions } from "../../src/web/load.js";
import type { Manifest, WebEngine } from "../../src/web/manifest.js";
import { Sketch } from "../runtime/sketch.js";
import { errorOf, GPU, machine, NO_GPU, sessions } from "./machine.js";
import { onCpu, pathsOf, serve, shapeImage, shapesSite, withEngine } from "./site.js";
import type { Site, TestServer } from "./site.js";

let site: Site;
let server: TestServer;
const paths = new Map<string, Uint8Array | string>();

beforeAll(async () => {
  site = await withEngine(await shapesSite(false));
  for (const [path, body] of pathsOf(site, "m")) paths.set(path, body);
  server = await serve(paths);
});
afterAll(() => server.close());
beforeEach(() => {
  server.requests.length = 0;
  sessions.opened = 0;
  sessions.disposed = 0;
});

/** Serves the site under another name, with some of its files or its manifest changed. */
function place(folder: string, files: Record<string, Uint8Array | string>, manifest?: Manifest): string {
  for (const [path, body] of pathsOf(site, folder, manifest)) paths.set(path, body);
  for (const [name, body] of Object.entries(files)) paths.set(`${folder}/${name}`, body);
  return `${server.url}${folder}/`;
}

const without = (engine: WebEngine): Manifest => ({
  ...site.manifest,
  runtime: { files: site.manifest.runtime.files.filter((file) => file.engine !== engine) },
});

function raise(error: Error): never {
  throw error;
}

describe("the engine", () => {
  test("is what auto takes, with or without a GPU, and nothing of ONNX Runtime is fetched", async () => {
    for (const adapter of [NO_GPU, GPU]) {
      server.requests.length = 0;
      const model = await loadOn(machine(adapter), `${server.url}m/`);
      expect(model).toMatchObject({
        engine: "qdg",
        device: "wasm",
        threads: 1,
        adapter: null,
        fallbacks: [],
      });
      expect(model.selfTest).toMatchObject({ engine: "qdg", cases: 3, tensors: 13, integers: 31_872 });
      expect(new Set(server.requests)).toEqual(
        new Set(
          ["m/manifest.json", "m/model.onnx", "m/qdg-simd.wasm", "m/qdg-relaxed.wasm"].filter(
            // Compiled once a page.
            (path) => adapter === NO_GPU || !path.endsWith(".wasm"),
          ),
        ),
      );
      await model.dispose();
    }
    expect([sessions.opened, sessions.disposed]).toEqual([4, 4]);
  });

  test("answers as onnxruntime-node does", async () => {
    const model = await loadOn(machine(NO_GPU), `${server.url}m/`);
    const images = Array.from({ length: 7 }, (_, i) => shapeImage(i, 31));
    const expected = await onCpu(site.files.get("model.onnx") as Uint8Array, images);
    for (const [i, image] of images.entries()) {
      const { probabilities } = await model.classify(image);
      probabilities.forEach((p, k) => expect(Math.abs(p - (expected[i]?.[k] ?? NaN))).toBeLessThan(1e-6));
    }
    await model.dispose();
  });

  test.each<[LoadOptions, WebEngine]>([
    [{ device: "wasm" }, "onnxruntime"],
    [{ engine: "onnxruntime" }, "onnxruntime"],
    [{ engine: "qdg" }, "qdg"],
    [{ engine: "qdg", device: "wasm" }, "qdg"],
  ])("%j takes %s", async (options, engine) => {
    const model = await loadOn(machine(NO_GPU), `${server.url}m/`, options);
    expect(model.engine).toBe(engine);
    await model.dispose();
  });

  test.each<[LoadOptions, string]>([
    [{ engine: "qdg", device: "webgpu" }, 'engine: got "qdg" on webgpu, expected wasm'],
    [{ engine: "qdg", threads: 2 }, "threads: got 2, but this page is not cross-origin isolated"],
    [{ engine: "qdg", threads: 0.5 }, "threads: got 0.5, expected an integer >= 1"],
    [{ engine: "tflite" as never }, 'engine: got "tflite", expected auto, qdg or onnxruntime'],
    [{ model: "int8" as never }, 'model: got "int8", expected quantized or float32'],
  ])("%j is an error", async (options, message) => {
    expect((await errorOf(loadOn(machine(NO_GPU), `${server.url}m/`, options))).message).toContain(message);
  });

  test("that computes something else is left for ONNX Runtime, and the page is told", async () => {
    const slipping = machine(NO_GPU, ({ engine }, session) =>
      engine !== "qdg"
        ? session
        : {
            ...session,
            run: async (feeds) => {
              const results = await session.run(feeds);
              const relu = results["relu3"];
              if (!relu) return results;
              const data = Uint8Array.from(relu.data as Uint8Array, (q, i) => (i === 77 ? q ^ 1 : q));
              return { ...results, relu3: { ...relu, data } };
            },
          },
    );
    const model = await loadOn(slipping, place("slips", {}));
    expect(model.engine).toBe("onnxruntime");
    expect(model.fallbacks[0]).toMatchObject({ engine: "qdg", device: "wasm" });
    expect(model.fallbacks[0]?.reason).toMatch(/the first is "relu3"; the engine of this machine does not/);
    // The model's bytes serve both.
    expect(server.requests.filter((path) => path === "slips/model.onnx")).toHaveLength(1);
    await model.dispose();
  });

  test.each<[string, () => never]>([
    ["traps", () => raise(new RangeError("memory access out of bounds"))],
    [
      "finds a graph that contradicts itself",
      () => raise(new QdgError("invalid-graph", "relu3", "has no shape")),
    ],
  ])("that %s is left for ONNX Runtime", async (_, fail) => {
    const failing = machine(NO_GPU, ({ engine }, session) =>
      engine === "qdg" ? { ...session, run: async () => fail() } : session,
    );
    const model = await loadOn(failing, place("fails", {}));
    expect(model.engine).toBe("onnxruntime");
    expect(model.fallbacks[0]?.reason).toMatch(/out of bounds|has no shape/);
    await model.dispose();
  });

  test("that is not in the site is said to be so; as is ONNX Runtime, where the engine does not run", async () => {
    const model = await loadOn(machine(NO_GPU), place("no-engine", {}, without("qdg")));
    expect(model.engine).toBe("onnxruntime");
    expect(model.fallbacks[0]?.reason).toBe("the site was deployed without it");
    await model.dispose();
    const broken = machine(NO_GPU, ({ engine }, session) => {
      if (engine === "qdg") throw new QdgError("unsupported-op", "pool1 (LpPool)", "is not computed");
      return session;
    });
    const error = await errorOf(loadOn(broken, place("engine-only", {}, without("onnxruntime"))));
    expect(error.code).toBe("unavailable");
    expect(error.message).toContain("the engine: pool1 (LpPool): is not computed");
    expect(error.message).toContain("wasm: the site was deployed without it");
  });

  test("whose kernels are not those of the manifest is an error, never a fallback", async () => {
    const kernels = Uint8Array.from(site.files.get("qdg-simd.wasm") as Uint8Array);
    kernels[kernels.length >> 1] = (kernels[kernels.length >> 1] as number) ^ 1;
    const url = place("tampered", { "qdg-simd.wasm": kernels });
    vi.resetModules();
    const fresh = await import("../../src/web/load.js");
    const thrown = await fresh.load(url).then(
      () => null,
      (reason: unknown) => reason as Error,
    );
    expect(thrown?.message).toContain("qdg-simd.wasm: got SHA-256");
    expect(thrown?.message).toContain("[invalid-data]");
  });

  test("runs a bare ONNX file where its kernels are found, and else says why not", async () => {
    vi.resetModules();
    const fresh = await import("../../src/web/load.js");
    const found = await fresh.load(`${server.url}m/model.onnx`, { wasmPaths: `${server.url}m` });
    expect(found.fallbacks).toEqual([]);
    expect([found.engine, found.selfTest]).toEqual(["qdg", null]);
    const { label } = await found.classify(shapeImage(5));
    expect(label).toBe("star");
    await found.dispose();
    vi.resetModules();
    const other = await import("../../src/web/load.js");
    const missing = await other
      .load(`${server.url}m/model.onnx`, { wasmPaths: `${server.url}nowhere`, engine: "qdg" })
      .then(
        () => null,
        (reason: unknown) => reason as Error,
      );
    expect(missing?.message).toContain("qdg-simd.wasm: got HTTP status 404");
  });

  test("says of a float network what it does not run", async () => {
    const sketch = new Sketch();
    const x = sketch.input(
      "x",
      float32(
        [1, 1, 4, 4],
        Array.from({ length: 16 }, (_, i) => i),
      ),
    );
    const w = sketch.constant(
      "w",
      float32(
        [1, 1, 3, 3],
        Array.from({ length: 9 }, () => 1),
      ),
    );
    const { graph } = sketch.model(sketch.node("Conv", [x, w], { kernel_shape: [3, 3] }), [1, 1, 2, 2], null);
    const model = graphToModel(graph, { opset: 21, irVersion: 10, producerVersion: "test" });
    paths.set("float/a.onnx", encodeModel(model));
    const message = await load(`${server.url}float/a.onnx`, {
      engine: "qdg",
      wasmPaths: `${server.url}m`,
    }).then(() => "", String);
    expect(message).toContain("has no integers, and the engine is for low-bit networks; run it on wasm");
  });
});
