// What ONNX Runtime makes of the patterns that lowering writes, against the reference: the facts that the
// integer semantics rest on. An upgrade of ONNX Runtime that changes one of them turns this red.
// QDG_KERNEL_TRIALS=200 repeats the measurement at length.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Tensor } from "../../src/base/tensor.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import { referenceRuntime } from "../../src/runtime/reference.js";
import type { Runtime, RuntimeOptions } from "../../src/runtime/runtime.js";
import { wasmRuntime } from "../../src/runtime/wasm.js";
import type { KernelCase } from "./kernel-cases.js";
import { KERNEL_CASES } from "./kernel-cases.js";
import { Random } from "./sketch.js";

const TRIALS = Number(process.env["QDG_KERNEL_TRIALS"] ?? 4);

/** Share of elements that may take the other side of a tie without fusion; more is another formula. */
const TIES = 0.2;
const CLOSE = 1e-5;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "qdg-kernels-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Counts {
  elements: number;
  /** Elements that differ from the reference. */
  cpu: number;
  wasm: number;
  unfused: number;
  /** Of integers, without fusion. */
  largestStep: number;
  /** Operators of the first model as ONNX Runtime optimized it. */
  ops: readonly (string | undefined)[];
}

describe("ONNX Runtime's kernels, native and WebAssembly, compute what the reference computes", () => {
  for (const [index, kernelCase] of KERNEL_CASES.entries()) {
    it(`${kernelCase.title}: ${kernelCase.fused.join(", ")}`, async () => {
      const random = new Random(1000 + index);
      const counts: Counts = { elements: 0, cpu: 0, wasm: 0, unfused: 0, largestStep: 0, ops: [] };
      for (let trial = 0; trial < TRIALS; trial++) await compareOnce(kernelCase, random, counts, trial);
      if (process.env["QDG_KERNEL_TRIALS"]) console.info(kernelCase.title, JSON.stringify(counts));
      expect({ cpu: counts.cpu, wasm: counts.wasm }).toEqual({ cpu: 0, wasm: 0 });
      expect(counts.unfused).toBeLessThanOrEqual(kernelCase.unfused === "ties" ? TIES * counts.elements : 0);
      expect(counts.largestStep).toBeLessThanOrEqual(1);
      expect(counts.ops).toEqual(expect.arrayContaining([...kernelCase.fused]));
    });
  }
});

async function compareOnce(
  kernelCase: KernelCase,
  random: Random,
  counts: Counts,
  trial: number,
): Promise<void> {
  const { graph, feeds } = kernelCase.make(random);
  const bytes = encodeModel(graphToModel(graph, { opset: 21, irVersion: 10, producerVersion: "test" }));
  const path = join(folder, "optimized.onnx");
  const run = async (runtime: Runtime, options: RuntimeOptions): Promise<Tensor> => {
    const session = await runtime.open({ bytes }, options);
    const [result] = Object.values(await session.run(feeds));
    await session.dispose();
    return result as Tensor;
  };
  const reference = await run(referenceRuntime, {});
  const cpu = await run(cpuRuntime, trial === 0 ? { optimizedModelPath: path } : {});
  const wasm = await run(wasmRuntime, {});
  const unfused = await run(cpuRuntime, { optimization: "none" });
  if (trial === 0)
    counts.ops = (decodeModel(readFileSync(path)).graph?.node ?? []).map((node) => node.opType);
  expect(cpu.shape).toEqual(reference.shape);
  counts.elements += reference.data.length;
  counts.cpu += differences(reference, cpu);
  counts.wasm += differences(reference, wasm);
  counts.unfused += differences(reference, unfused);
  if (reference.dtype !== "float32") {
    counts.largestStep = Math.max(counts.largestStep, largestStep(reference, unfused));
  }
}

/** Elements that differ: at all for integers, by more than 1e-5 of the largest value for floats. */
function differences(reference: Tensor, candidate: Tensor): number {
  const a = reference.data as ArrayLike<number>;
  const b = candidate.data as ArrayLike<number>;
  const largest = Array.from(a).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const allowed = reference.dtype === "float32" ? CLOSE * largest : 0;
  let count = 0;
  for (let i = 0; i < a.length; i++) {
    if (!(Math.abs((a[i] as number) - (b[i] as number)) <= allowed)) count++;
  }
  return count;
}

function largestStep(reference: Tensor, candidate: Tensor): number {
  const b = candidate.data as ArrayLike<number>;
  return Array.from(reference.data as ArrayLike<number>).reduce(
    (most, x, i) => Math.max(most, Math.abs(x - (b[i] as number))),
    0,
  );
}
