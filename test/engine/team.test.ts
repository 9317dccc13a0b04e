// Threads of the engine: the same integers, whoever computes which part of a layer.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { sizeOf, tensor } from "../../src/base/tensor.js";
import { compileShared, instantiate } from "../../src/engine/module.js";
import { MOST_SHARED_PAGES, withSharedMemory } from "../../src/engine/shared-memory.js";
import { startTeam, type Threads } from "../../src/engine/team.js";
import { webAssembly } from "../../src/engine/web-assembly.js";
import { encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { engineRuntime } from "../../src/runtime/engine.js";
import { Random, Sketch } from "../runtime/sketch.js";

const SIMD = new Uint8Array(readFileSync("dist/engine/simd.wasm"));
const RELAXED = new Uint8Array(readFileSync("dist/engine/relaxed.wasm"));

interface Layer {
  readonly C: number;
  readonly K: number;
  readonly group: number;
  readonly H: number;
  readonly W: number;
  /** Weights are -most..most. */
  readonly most: number;
}

const LAYERS: readonly Layer[] = [
  { C: 16, K: 32, group: 1, H: 40, W: 41, most: 7 },
  { C: 16, K: 32, group: 1, H: 40, W: 41, most: 127 },
  { C: 64, K: 64, group: 64, H: 33, W: 37, most: 7 },
  { C: 64, K: 64, group: 64, H: 33, W: 37, most: 127 },
  { C: 24, K: 48, group: 2, H: 25, W: 31, most: 3 },
  // Fewer positions than threads could take, and work that is not worth a wake-up.
  { C: 512, K: 256, group: 1, H: 4, W: 4, most: 7 },
  { C: 3, K: 8, group: 1, H: 6, W: 6, most: 7 },
];

function file({ C, K, group, H, W, most }: Layer, seed: number) {
  const random = new Random(seed);
  const sketch = new Sketch();
  const x = sketch.dequantize(sketch.input("x", random.bytes([1, C, H, W])), 0.05, 128);
  const shape = [K, C / group, 3, 3];
  const weights = Int8Array.from({ length: sizeOf(shape) }, () => random.integer(-most, most));
  const w = [
    sketch.constant("w", tensor("int8", shape, weights)),
    sketch.reals(
      "s",
      Array.from({ length: K }, () => random.scale()),
    ),
    sketch.constant("z", tensor("int8", [K], new Int8Array(K))),
  ];
  const y = sketch.node("Conv", [x, sketch.node("DequantizeLinear", w, { axis: 0 })], {
    group,
    kernel_shape: [3, 3],
    pads: [1, 1, 1, 1],
  });
  const norm = Math.sqrt((9 * C * most * most) / group / 3);
  const { graph, feeds } = sketch.model(y, [1, K, H, W], { scale: norm * 0.05 * 0.05, zeroPoint: 120 });
  return {
    bytes: encodeModel(graphToModel(graph, { opset: 21, irVersion: 10, producerVersion: "test" })),
    feeds,
  };
}

describe("several threads", () => {
  test.each([2, 3, 4])("%i compute what one does, run after run", async (threads) => {
    for (const [i, layer] of LAYERS.entries()) {
      const { bytes, feeds } = file(layer, i + 1);
      const [one, several] = [
        await engineRuntime.open({ bytes }),
        await engineRuntime.open({ bytes }, { threads }),
      ];
      const [expected] = Object.values(await one.run(feeds));
      expect(new Set(expected?.data as Uint8Array).size).toBeGreaterThan(10);
      for (let run = 0; run < 5; run++) {
        const [got] = Object.values(await several.run(feeds));
        expect(got).toEqual(expected);
      }
      await several.dispose();
      await one.dispose();
    }
  });

  test("that are none are an error", async () => {
    const { bytes } = file(LAYERS[0] as Layer, 1);
    for (const threads of [0, 1.5, -2]) {
      await expect(engineRuntime.open({ bytes }, { threads })).rejects.toThrow(/threads: got .*\[usage\]/);
    }
  });
});

/** A kernel's call on zeros, by threads that `spawn` starts or does not. */
async function callWith(spawn: Threads["spawn"]): Promise<Uint8Array> {
  const modules = await compileShared(SIMD, RELAXED);
  const memory = new webAssembly.Memory({ initial: 4, maximum: MOST_SHARED_PAGES, shared: true });
  const own = await instantiate(modules, memory);
  const team = await startTeam(own, memory, { count: 1, modules, spawn });
  const [windows, places, weights, parameters, offsets, target] = [64, 8256, 16448, 60000, 90000, 95000];
  const positions = 2040;
  const integers = new Uint32Array(memory.buffer);
  for (let i = 0; i < positions; i++) {
    integers[windows / 4 + i] = 96000;
    integers[places / 4 + i] = 100000 + 8 * i;
  }
  const limits = new Float32Array(memory.buffer, 64 * Math.ceil(target / 64), 24);
  limits.fill(-120, 0, 4).fill(135, 4, 8).fill(12582912, 8, 12);
  new Int32Array(memory.buffer, limits.byteOffset).fill(0x4b400000 - 120, 12, 16);
  new Uint8Array(memory.buffer, limits.byteOffset).fill(0, 64, 80).fill(255, 80, 96);
  const steps = 120;
  integers.fill(0, offsets / 4, offsets / 4 + steps);
  team.kernels.convolution(
    windows,
    places,
    positions,
    weights,
    parameters,
    1,
    offsets,
    steps,
    limits.byteOffset,
    1,
  );
  team.stop();
  return new Uint8Array(memory.buffer, 100000, 8 * positions).slice();
}

describe("a team", () => {
  test("whose thread never answers is done without it", async () => {
    const bytes = await callWith(async () => undefined);
    expect(new Set(bytes)).toEqual(new Set([120]));
  });

  test("whose thread does not start is an error", async () => {
    await expect(callWith(() => Promise.reject(new Error("no thread")))).rejects.toThrow("no thread");
  });
});

describe("kernels for shared memory", () => {
  test("are valid, and take no other memory", async () => {
    const shared = withSharedMemory(SIMD);
    expect(webAssembly.validate(shared)).toBe(true);
    const module = await webAssembly.compile(shared);
    const own = new webAssembly.Memory({ initial: 1 });
    await expect(webAssembly.instantiate(module, { env: { memory: own } })).rejects.toThrow(/memory/);
  });

  test.each<[string, Uint8Array]>([
    ["no imports", SIMD.slice(0, 8)],
    ["no module", new Uint8Array(3)],
    ["a module that is cut off", Uint8Array.of(...SIMD.slice(0, 8), 2, 0x80)],
    ["a memory that is shared already", withSharedMemory(SIMD)],
  ])("are not made of %s", (_, bytes) => {
    expect(() => withSharedMemory(bytes)).toThrow(RangeError);
  });
});
