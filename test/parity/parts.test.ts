// The parts of a comparison one by one: metrics, the tensors that are looked at, outputs that are added, and a
// target with differences put in by hand.

import { describe, expect, it } from "vitest";
import type { Tensor } from "../../src/base/tensor.js";
import { float32, tensor } from "../../src/base/tensor.js";
import { encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import type { ModelProto } from "../../src/onnx/model-proto.js";
import { Accuracy } from "../../src/parity/metrics/accuracy.js";
import { LevelsUsed } from "../../src/parity/metrics/levels-used.js";
import { Measurement } from "../../src/parity/metrics/metrics.js";
import { predictions } from "../../src/parity/metrics/top1.js";
import { quantizedTensors } from "../../src/export/quantized-tensors.js";
import { TargetRun } from "../../src/parity/target-run.js";
import { judgeTarget } from "../../src/parity/verdict.js";
import { withOutputs } from "../../src/onnx/with-outputs.js";
import { referenceRuntime } from "../../src/runtime/reference.js";
import type { Session } from "../../src/runtime/runtime.js";
import { Sketch } from "../runtime/sketch.js";
import { reread, tinyInputs, tinyModel } from "./tiny-models.js";

const bytes = (...data: number[]): Tensor => tensor("uint8", [data.length], Uint8Array.from(data));
const reals = (...data: number[]): Tensor => float32([1, data.length], data);

/** A float model whose metadata lists quantized tensors. */
function roundedModel(list: string): ModelProto {
  const sketch = new Sketch();
  const y = sketch.node("Round", [sketch.input("x", reals(1, 2))], {}, "float32", [1, 2]);
  const { graph } = sketch.model(sketch.node("Relu", [y], {}, "float32", [1, 2]), [1, 2], null);
  const metadata = { "qdg.quantized": list };
  return reread(graphToModel(graph, { opset: 21, irVersion: 10, producerVersion: "test", metadata }));
}

describe("metrics", () => {
  it("count mismatches and steps over all pairs, with sign in the histogram", () => {
    const measured = new Measurement(["mismatches", "histogram"]);
    measured.add(bytes(1, 2, 3, 200), bytes(1, 3, 3, 190));
    measured.add(bytes(5, 5), bytes(6, 5));
    expect(measured.result()).toEqual({
      mismatches: { count: 3, total: 6, largestSteps: 10 },
      histogram: [
        [-10, 1],
        [1, 2],
      ],
    });
  });

  it("take the relative difference of the worst pair, by its own largest element", () => {
    const measured = new Measurement(["relativeDifference"]);
    measured.add(reals(100, 1), reals(100, 2));
    expect(measured.result().relativeDifference).toBeCloseTo(0.01);
    measured.add(reals(1, -10), reals(1, -9));
    expect(measured.result().relativeDifference).toBeCloseTo(0.1);
    measured.add(reals(1, 1), reals(1, 1));
    expect(measured.result().relativeDifference).toBeCloseTo(0.1);
  });

  it.each([
    [reals(1, 2), reals(1, Number.NaN)],
    [reals(Number.NaN, 2), reals(Number.NaN, 2)],
    [reals(1, 2), reals(1, Number.POSITIVE_INFINITY)],
    [reals(0, 0), reals(0, 1e-30)],
  ])(
    "have no tolerance for what is not finite, nor for noise in place of zeros (%#)",
    (reference, candidate) => {
      const measured = new Measurement(["relativeDifference"]);
      measured.add(reference, candidate);
      measured.add(reals(1, 1), reals(1, 1));
      expect(measured.result().relativeDifference).toBeNull();
    },
  );

  it("measure signal to noise over all pairs", () => {
    const measured = new Measurement(["sqnrDb"]);
    expect(measured.result().sqnrDb).toBeNull();
    measured.add(reals(3, 4), reals(3, 4));
    measured.add(reals(5, 0), reals(5, 0.5));
    expect(measured.result().sqnrDb).toBeCloseTo(10 * Math.log10(50 / 0.25));
  });

  it("agree on the first of equal classes, and only where there are classes", () => {
    expect(predictions(float32([2, 3], [1, 5, 5, 2, 2, 2]))).toEqual([1, 0]);
    const measured = new Measurement(["top1Agreement"]);
    measured.add(float32([2, 2], [1, 2, 2, 1]), float32([2, 2], [1, 3, 1, 2]));
    expect(measured.result().top1Agreement).toBe(0.5);
    const image = new Measurement(["top1Agreement"]);
    image.add(float32([1, 2, 1], [1, 2]), float32([1, 2, 1], [1, 2]));
    expect(image.result().top1Agreement).toBeNull();
  });

  it("call two levels dead, three alive, and do not judge two elements", () => {
    const levels = new LevelsUsed();
    levels.add(bytes(7, 9));
    expect(levels.dead).toBe(false);
    levels.add(bytes(9, 9));
    expect([levels.count, levels.dead]).toEqual([2, true]);
    levels.add(bytes(8));
    expect([levels.count, levels.dead]).toEqual([3, false]);
  });

  it("give accuracy over all and by group", () => {
    const accuracy = new Accuracy();
    accuracy.add("photo", reals(0, 1), 1);
    accuracy.add("photo", reals(0, 1), 0);
    accuracy.add("sketch", reals(0, 1), 1);
    accuracy.add("sketch", reals(0, 1), null);
    expect(accuracy.result()).toEqual([
      { group: "", inputs: 3, accuracy: 2 / 3 },
      { group: "photo", inputs: 2, accuracy: 1 / 2 },
      { group: "sketch", inputs: 1, accuracy: 1 },
    ]);
  });
});

describe("quantized tensors", () => {
  it("are bytes that depend on an input, not unpacked weights and not what a Clip is still to cut", () => {
    const sketch = new Sketch();
    const stored = sketch.constant("stored", bytes(0x12, 0x34));
    const mask = sketch.constant("mask", bytes(15));
    const weights = sketch.node("BitwiseAnd", [stored, mask], {}, "uint8", [2]);
    const x = sketch.input("x", reals(1, 2));
    const scale = sketch.real("s", 0.5);
    const wide = sketch.node("QuantizeLinear", [x, scale, sketch.byte("z", 4)], {}, "uint8", [1, 2]);
    const narrow = sketch.node(
      "Clip",
      [wide, sketch.byte("low", 0), sketch.byte("high", 7)],
      {},
      "uint8",
      [1, 2],
    );
    const moved = sketch.node("Transpose", [narrow], { perm: [1, 0] }, "uint8", [2, 1]);
    const both = sketch.node("BitwiseOr", [moved, weights], {}, "uint8", [2, 2]);
    const { graph } = sketch.model(both, [2, 2], null);
    const model = graphToModel(graph, { opset: 21, irVersion: 10, producerVersion: "test" });
    const found = quantizedTensors(reread(model));
    expect(found.map(({ name, bits, scale: s, zeroPoint }) => [name, bits, s, zeroPoint])).toEqual([
      [narrow.name, 3, 0.5, 4],
      [moved.name, 3, 0.5, 4],
      [both.name, 3, 0.5, 4],
    ]);
  });

  it("of the float form are those that the metadata lists", () => {
    expect(quantizedTensors(roundedModel('[["Round0", -4, 11]]'))).toEqual([
      { name: "Round0", layer: "Round0", dtype: "float32", bits: 4, scale: null, zeroPoint: 0 },
    ]);
    expect(() => quantizedTensors(roundedModel('[["gone", 0, 15]]'))).toThrow(/gone, which no node computes/);
    expect(() => quantizedTensors(roundedModel('[["Round0", "low", 15]]'))).toThrow(/expected a list of/);
    expect(() => quantizedTensors(roundedModel("{"))).toThrow(/\[invalid-onnx\]/);
  });

  it("can be given out without changing the outputs that are there", async () => {
    const model = reread(tinyModel());
    const tensors = quantizedTensors(model);
    const more = withOutputs(model, [...tensors, { name: "logits", dtype: "float32" }]);
    const session = await referenceRuntime.open({ bytes: encodeModel(more) });
    expect(session.outputs.map((output) => output.name)).toEqual(["logits", "image_q", "first", "second"]);
    expect(() => withOutputs(model, [{ name: "first/kernel", dtype: "int8" }])).toThrow(
      /no node of the graph/,
    );
  });
});

/** The reference, but `change` has been at its results. */
async function altered(
  change: (results: Record<string, Tensor>, call: number) => void,
  intermediates = true,
): Promise<ReturnType<TargetRun["report"]>> {
  const model = reread(tinyModel());
  const tensors = quantizedTensors(model);
  const reference = await referenceRuntime.open({ bytes: encodeModel(withOutputs(model, tensors)) });
  let call = 0;
  const session: Session = {
    inputs: reference.inputs,
    outputs: reference.outputs,
    async run(feeds) {
      const results = await reference.run(feeds);
      const copies = Object.fromEntries(
        Object.entries(results).map(([name, value]) => [name, { ...value, data: value.data.slice() }]),
      );
      change(copies, call++);
      return copies;
    },
    async dispose() {},
  };
  const run = new TargetRun("cpu", "altered", session, tensors, ["logits"]);
  for await (const input of tinyInputs(4).read())
    await run.add(input, await reference.run(input.feeds), null);
  return run.report({ intermediates, locate: true });
}

function outsideTolerance(report: ReturnType<TargetRun["report"]>): string[] {
  return judgeTarget(report).checks.flatMap(({ reasons }) => reasons);
}

/** All logits times `factor`. */
function scaled(factor: number): Promise<ReturnType<TargetRun["report"]>> {
  return altered(({ logits }) => {
    const data = logits?.data as Float32Array;
    data.forEach((x, i) => {
      data[i] = x * factor;
    });
  });
}

describe("a target with differences put in by hand", () => {
  it("is reported with exactly as many mismatches and steps", async () => {
    const report = await altered(({ second }, call) => {
      if (call !== 2) return;
      const data = second?.data as Uint8Array;
      for (const at of [3, 5, 47]) data[at] = (data[at] as number) + (at === 5 ? 9 : 1);
    });
    const [image, first, second] = report.tensors ?? [];
    expect([image?.mismatches.count, first?.mismatches.count]).toEqual([0, 0]);
    expect(second?.mismatches).toEqual({ count: 3, total: 4 * 48, largestSteps: 9 });
    expect(second?.histogram).toEqual([
      [1, 2],
      [9, 1],
    ]);
    expect(report.firstDifference).toMatchObject({ layer: "second", input: "image 2", index: [0, 0, 0, 3] });
    expect(outsideTolerance(report)).toEqual([
      expect.stringMatching(/3 elements of 1 quantized tensors differ/),
    ]);
  });

  it("is located at the first layer, also when a later input shows it", async () => {
    const report = await altered(({ first, second }, call) => {
      const data = (call === 3 ? first : second)?.data as Uint8Array;
      data[0] = (data[0] as number) + 1;
    });
    expect(report.firstDifference).toMatchObject({ layer: "first", input: "image 3" });
  });

  it("stays within the tolerance of real outputs up to 1e-5, and not beyond", async () => {
    expect(outsideTolerance(await scaled(1 + 5e-6))).toEqual([]);
    expect(outsideTolerance(await scaled(1 + 5e-5))).toEqual([
      expect.stringMatching(/output logits differs by/),
    ]);
    expect(outsideTolerance(await scaled(Number.NaN))).toEqual([expect.stringMatching(/not finite/)]);
  });

  it("is an error when a shape differs", async () => {
    await expect(
      altered((results) => {
        results["second"] = bytes(1, 2);
      }),
    ).rejects.toThrow(/runtime cpu, second: got uint8 \[2\], expected uint8 \[1, 3, 4, 4\]/);
  });
});
