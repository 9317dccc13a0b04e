// What ONNX Runtime makes of the files that lowering writes, for one network of every operator: read from its own
// optimized graph, each kernel that it put in the place of what was written must be known to compute the same integers.
// The WebAssembly build gives no optimized graph out, and has the same rules: there the integers are compared.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { integerFile } from "../../src/export/integer-file.js";
import { QUANTIZED_OPERATORS } from "../../src/graph/node-kinds.js";
import { WEIGHT_STORAGES } from "../../src/lower/form.js";
import { decodeModel } from "../../src/onnx/codec.js";
import type { NodeProto } from "../../src/onnx/model-proto.js";
import { ACTIVATIONS } from "../../src/read/activation.js";
import { LAYERS } from "../../src/read/layers.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import { OPERATOR_NETWORKS } from "../support/operator-networks.js";
import { quantizeWith } from "../support/quantize-with.js";
import { compareQuantizedGraph } from "../support/quantized-models.js";

/** Kernels of ONNX Runtime's own that compute what was written, each with the reason. */
const PROVEN: Readonly<Record<string, string>> = {
  "com.microsoft:QLinearConv":
    "an int32 sum, then one multiplication by m: the semantics of the integer form",
  "com.microsoft:QGemm": "the same; to real numbers it multiplies the sum by fl(s_x * s_w[k])",
  QLinearMatMul: "an int32 sum of two computed operands, then one multiplication by m",
  "com.microsoft:QLinearAdd":
    "written only where no sum of two bytes comes near a tie (lower/kernel-ties.ts)",
  "com.microsoft:QLinearMul":
    "written only to zero point 0, where no product comes near a tie (lower/kernel-ties.ts)",
  "com.microsoft:QLinearLeakyRelu": "a table of 256 results, made by the float operators that were written",
  "com.microsoft:QLinearAveragePool":
    "float32 sums in the order of the window on every runtime: the formula of the reference",
  "com.microsoft:QLinearGlobalAveragePool": "an int32 sum, then one multiplication",
  "com.microsoft:NhwcMaxPool": "selects bytes",
  Transpose: "moves bytes",
  "com.microsoft.nchwc:Conv": "a float sum of integers below 2^24 is exact in any order",
  "com.microsoft.nchwc:ReorderInput": "moves floats",
  "com.microsoft.nchwc:ReorderOutput": "moves floats",
  "com.microsoft:FusedConv": "a float Conv and the clamp after it: exact sums, and a clamp of them",
  "com.microsoft:FusedGemm": "the same of a Gemm",
  "com.microsoft:FusedMatMul": "a MatMul and the transposition before it: exact sums",
};

/** Kernels of float for what is computed in float: none that takes low-bit weights as leave to quantize activations. */
const IN_REAL_NUMBERS: ReadonlySet<string> = new Set([
  "com.microsoft.nchwc:Conv",
  "com.microsoft.nchwc:ReorderInput",
  "com.microsoft.nchwc:ReorderOutput",
  "com.microsoft.nchwc:Upsample",
  "com.microsoft:FusedConv",
  "com.microsoft:FusedGemm",
  "com.microsoft:FusedMatMul",
  // x * Sigmoid(x), and Mish spelled out.
  "com.microsoft:QuickGelu",
  "Softplus",
  "Tanh",
]);

/** What may read a DequantizeLinear: for these an integer kernel in their place computes the same. */
const ON_INTEGER_KERNELS: ReadonlySet<string> = new Set([
  "Conv",
  "Gemm",
  "MatMul",
  "Add",
  "Mul",
  "LeakyRelu",
  "AveragePool",
  "GlobalAveragePool",
  // No integer kernel: they select one of their operands.
  "Max",
  "Min",
]);

/** Sums and functions in float between quantizers, whose last bits are a runtime's own: next to a tie, one step. */
const IN_FLOAT: ReadonlySet<string> = new Set([
  "Softmax",
  "LogSoftmax",
  "LayerNormalization",
  "Resize",
  "AveragePool",
  "Div",
]);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "qdg-fused-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const seen = new Set<string>();
const covered = new Set<string>(OPERATOR_NETWORKS.flatMap(({ covers }) => covers));

test.each(OPERATOR_NETWORKS)(
  "$title runs on kernels that are known to be exact (%#)",
  async ({ graph, options }) => {
    const source = await graph();
    for (const node of source.nodes) covered.add(node.op);
    for (const powerOfTwo of [false, true]) {
      const found = await compareQuantizedGraph(source, { bits: 8, powerOfTwo }, { seed: 3, ...options });
      for (const form of ["integer", "float"] as const) {
        const bytes = found.files.get(form) as Uint8Array;
        const written = nodesOf(bytes);
        const optimized = await optimizedNodes(bytes);
        const own = new Set(written.map(nameOf));
        const kernels = new Set(optimized.map(nameOf).filter((name) => !own.has(name)));
        for (const kernel of kernels) seen.add(kernel);
        expect([...kernels].filter((name) => !Object.hasOwn(PROVEN, name))).toEqual([]);
        expect(readersOfDequantized(written).filter((op) => !ON_INTEGER_KERNELS.has(op))).toEqual([]);
      }
      const steps = found.operators.some((op) => IN_FLOAT.has(op)) ? 1 : 0;
      expect(found.tensors).toBeGreaterThan(0);
      expect(found.mismatches.filter((mismatch) => mismatch.steps > steps)).toEqual([]);
    }
  },
);

test.each(OPERATOR_NETWORKS)(
  "$title, its weights alone quantized, runs on kernels of float (%#)",
  async ({ graph }) => {
    const { graph: quantized } = await quantizeWith(await graph(), { bits: 4 }, null);
    for (const weights of WEIGHT_STORAGES) {
      const { bytes } = integerFile(quantized, 21, { form: "integer", weights }, () => ({}));
      const written = new Set(nodesOf(bytes).map(nameOf));
      const kernels = (await optimizedNodes(bytes)).map(nameOf).filter((name) => !written.has(name));
      expect(kernels.filter((name) => !IN_REAL_NUMBERS.has(name))).toEqual([]);
    }
  },
);

test("there is a network for every operator that quantization knows, and every layer and activation that is read", () => {
  const known = [...QUANTIZED_OPERATORS, ...LAYERS.keys(), ...ACTIVATIONS];
  expect(known.filter((name) => !covered.has(name))).toEqual([]);
});

test("every kernel that is listed was seen", () => {
  expect(Object.keys(PROVEN).filter((name) => !seen.has(name))).toEqual([]);
});

function nodesOf(bytes: Uint8Array): readonly NodeProto[] {
  return decodeModel(bytes).graph?.node ?? [];
}

async function optimizedNodes(bytes: Uint8Array): Promise<readonly NodeProto[]> {
  const optimizedModelPath = join(folder, "optimized.onnx");
  await (await cpuRuntime.open({ bytes }, { optimizedModelPath })).dispose();
  return nodesOf(readFileSync(optimizedModelPath));
}

function nameOf({ domain, opType }: NodeProto): string {
  return domain ? `${domain}:${opType}` : (opType ?? "");
}

function readersOfDequantized(nodes: readonly NodeProto[]): string[] {
  const dequantized = new Set(
    nodes.flatMap(({ opType, output }) => (opType === "DequantizeLinear" ? (output ?? []) : [])),
  );
  return nodes.flatMap((node) => (node.input?.some((name) => dequantized.has(name)) ? [nameOf(node)] : []));
}
