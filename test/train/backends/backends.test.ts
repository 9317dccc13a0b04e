import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterEach, describe, expect, test, vi } from "vitest";
import { QdgError } from "../../../src/base/error.js";
import { tfjsRuntime } from "../../../src/runtime/tfjs.js";
import { remedyAt, useBackend, wasmRemedyAt } from "../../../src/train/backends/backends.js";
import { BACKENDS, describeOnBackends } from "../support/backends.js";

const native = BACKENDS.find(({ name }) => name === "tensorflow")?.options ?? {};
const model = join(import.meta.dirname, "../../../models/shapes/model.json");

afterEach(() => {
  vi.doUnmock("../../../src/train/backends/tensorflow.js");
  vi.doUnmock("../../../src/train/backends/wasm.js");
  vi.doUnmock("node:module");
  vi.resetModules();
});

test("a backend becomes tfjs's current one and says its version", async () => {
  const used = await useBackend("wasm");
  expect(used).toEqual({ name: "wasm", version: expect.stringMatching(/tfjs-backend-wasm 4\.\d+/) });
  expect(tf.add(1, 2).dataSync()[0]).toBe(3);
});

test("auto takes the native backend where it loads", native, async () => {
  const used = await useBackend("auto");
  expect(used).toEqual({ name: "tensorflow", version: expect.stringMatching(/tfjs-node 4.*TensorFlow 2\./) });
  expect(tf.getBackend()).toBe("tensorflow");
});

test("auto takes wasm where the native backend does not load, and says why and what mends it", async () => {
  vi.doMock("../../../src/train/backends/tensorflow.js", () => ({
    TENSORFLOW_BACKEND: "tensorflow",
    startTensorflow: () => Promise.reject(new Error("no library")),
  }));
  const fresh = await import("../../../src/train/backends/backends.js");
  const used = await fresh.useBackend("auto");
  expect(used.name).toBe("wasm");
  expect(used.note).toBe("tensorflow did not load: no library; npm run setup:tensorflow");
});

test("a backend that does not load is an error with the reason and the command that mends it", async () => {
  vi.doMock("../../../src/train/backends/tensorflow.js", () => ({
    TENSORFLOW_BACKEND: "tensorflow",
    startTensorflow: () => Promise.reject(new Error("no library")),
  }));
  const fresh = await import("../../../src/train/backends/backends.js");
  await expect(fresh.useBackend("tensorflow")).rejects.toThrow(
    "--backend: tensorflow did not load: no library; npm run setup:tensorflow [unavailable]",
  );
});

test("the remedy is one that is there: in an installed package, which has no scripts, npm's", () => {
  expect(remedyAt()).toBe("npm run setup:tensorflow");
  const { optionalDependencies } = JSON.parse(readFileSync("package.json", "utf8")) as {
    readonly optionalDependencies: Readonly<Record<string, string>>;
  };
  const version = optionalDependencies["@tensorflow/tfjs-node"];
  const installed = new URL("nowhere/setup-tensorflow.mjs", import.meta.url);
  expect(remedyAt(installed)).toMatch(
    new RegExp(
      `^npm install @tensorflow/tfjs-node@${version} beside qdg, .*; a clone of qdg builds it without`,
    ),
  );
});

test("the remedy for WebAssembly is npm run build where our own loops are not compiled", () => {
  expect(wasmRemedyAt()).toBe("npm install @tensorflow/tfjs-backend-wasm");
  expect(wasmRemedyAt(new URL("nowhere/loops.wasm", import.meta.url))).toBe("npm run build");
});

test("auto without any backend gives every reason", async () => {
  vi.doMock("../../../src/train/backends/tensorflow.js", () => ({
    TENSORFLOW_BACKEND: "tensorflow",
    startTensorflow: () => Promise.reject(new Error("no library")),
  }));
  vi.doMock("../../../src/train/backends/wasm.js", () => ({
    WASM_BACKEND: "qdg-wasm",
    startWasm: () => Promise.reject(new Error("no memory")),
  }));
  const fresh = await import("../../../src/train/backends/backends.js");
  await expect(fresh.useBackend("auto")).rejects.toThrow(
    /no library; npm run setup:tensorflow; wasm did not load: no memory; npm install/,
  );
});

test("an unknown backend is wrong usage", async () => {
  const attempt = useBackend("webgl" as "wasm");
  await expect(attempt).rejects.toThrow(QdgError);
  await expect(attempt).rejects.toThrow('got "webgl", expected tensorflow, wasm or auto [usage]');
});

/** startTensorflow with a `require` that does this for tfjs-node. */
async function startWith(load: () => unknown): Promise<string> {
  vi.doMock("node:module", () => ({
    createRequire: () => (name: string) => (name === "node:util" ? {} : load()),
  }));
  const fresh = await import("../../../src/train/backends/tensorflow.js");
  return fresh.startTensorflow();
}

describe("loading tfjs-node", () => {
  test("says when it is not installed", async () => {
    const missing = Object.assign(
      new Error("Cannot find module '@tensorflow/tfjs-node'\nRequire stack: ..."),
      {
        code: "MODULE_NOT_FOUND",
      },
    );
    const start = startWith(() => {
      throw missing;
    });
    await expect(start).rejects.toThrow(/^@tensorflow\/tfjs-node is not installed$/);
  });

  test("says what the loader said, on one line, when the library is broken", async () => {
    const start = startWith(() => {
      throw new Error("libtensorflow.so.2: cannot open shared object file\nmore");
    });
    await expect(start).rejects.toThrow(/^libtensorflow.so.2: cannot open shared object file$/);
  });

  test("refuses a second copy of tfjs", async () => {
    await expect(startWith(() => ({ Tensor: Object, version: {} }))).rejects.toThrow(
      /a tfjs of its own.*install @tensorflow\/tfjs-node beside @tensorflow\/tfjs 4/,
    );
  });
});

describeOnBackends((name) => {
  test("nothing is written to the console", async () => {
    const spies = (["log", "info", "warn", "error"] as const).map((method) =>
      vi.spyOn(console, method).mockImplementation(() => undefined),
    );
    await useBackend(name);
    tf.tidy(() => tf.grad((x) => tf.relu(tf.matMul(x as tf.Tensor2D, tf.ones([3, 3]))))(tf.ones([3, 3])));
    for (const spy of spies) {
      expect(spy).not.toHaveBeenCalled();
      spy.mockRestore();
    }
  });

  test("the float oracle gives its numbers, and the backend of training stays", async () => {
    await tf.setBackend("cpu");
    const feeds = { dtype: "float32", data: new Float32Array(3072).map((_, i) => Math.sin(i)) } as const;
    const run = async (): Promise<readonly number[]> => {
      const session = await tfjsRuntime.open({ path: model });
      const [input] = session.inputs;
      const shape = (input?.shape ?? []).map((size) => (typeof size === "number" ? size : 1));
      const count = shape.reduce((product, size) => product * size, 1);
      const data = Float32Array.from({ length: count }, (_, i) => feeds.data[i % 3072] as number);
      const outputs = await session.run({ [input?.name ?? ""]: { dtype: "float32", shape, data } });
      await session.dispose();
      return Object.values(outputs).flatMap((output) => Array.from(output.data as Float32Array));
    };
    const before = await run();
    await useBackend(name);
    const registered = tf.getBackend();
    const weights = tf.variable(tf.ones([2, 2]));
    expect(await run()).toEqual(before);
    expect(tf.getBackend()).toBe(registered);
    expect(Array.from(tf.matMul(weights as tf.Tensor2D, tf.ones([2, 2])).dataSync())).toEqual([2, 2, 2, 2]);
    weights.dispose();
  });

  test("tensors go along when another backend is chosen", async () => {
    await useBackend(name);
    const tensor = tf.tensor1d([1, 2, 3]);
    await useBackend("wasm");
    expect(Array.from(tf.mul(tensor, 2).dataSync())).toEqual([2, 4, 6]);
    await useBackend(name);
    expect(Array.from(tf.add(tensor, 1).dataSync())).toEqual([2, 3, 4]);
    tensor.dispose();
  });
});

test("tfjs's own backend wasm keeps tfjs's kernels", async () => {
  await useBackend("wasm");
  expect(tf.getKernel("Conv2DBackpropFilter", "wasm")).toBeUndefined();
  expect(tf.getKernel("MaxPoolGrad", "wasm")?.kernelFunc).not.toBe(
    tf.getKernel("MaxPoolGrad", tf.getBackend())?.kernelFunc,
  );
});
