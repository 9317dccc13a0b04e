import { describe, expect, it } from "vitest";
import type { Tensor } from "../../src/base/tensor.js";
import { float32, transpose } from "../../src/base/tensor.js";
import { FloatRun } from "../../src/parity/float-run.js";
import type { Session, TensorInfo } from "../../src/runtime/runtime.js";

/** A float model that gives back its input. */
function mirror(shape: TensorInfo["shape"], seen: Tensor[], output = "y"): Session {
  const info = { name: "model_input", dtype: "float32", shape } as const;
  return {
    inputs: [info],
    outputs: [{ ...info, name: output }],
    run: (feeds) => {
      seen.push(feeds["model_input"] as Tensor);
      return Promise.resolve({ [output]: feeds["model_input"] as Tensor });
    },
    dispose: () => Promise.resolve(),
  };
}

const nchw = float32(
  [1, 3, 4, 5],
  Array.from({ length: 60 }, (_, i) => i + 1),
);
const input = (image: Tensor): Parameters<FloatRun["add"]>[0] => ({
  name: "a",
  label: null,
  group: "",
  feeds: { image },
});

describe("the float model", () => {
  it("gets images in its own layout, and its outputs are compared in the other's", async () => {
    const seen: Tensor[] = [];
    const model = { name: "model.json", runtime: "tfjs" } as const;
    const run = new FloatRun(model, mirror(["N", 4, 5, 3], seen), ["out"], "nchw");
    await run.add(input(nchw), { out: nchw }, null);
    expect(seen[0]).toEqual(transpose(nchw, [0, 2, 3, 1]));
    // No difference: not a finite number of decibels.
    expect(run.report().outputs).toEqual([
      { name: "out", sqnrDb: null, relativeDifference: 0, top1Agreement: null },
    ]);
    const noisy = { ...nchw, data: nchw.data.map((x) => x + 1) };
    await run.add(input(nchw), { out: noisy }, null);
    const signal = 2 * nchw.data.reduce((sum, x) => sum + x * x, 0);
    expect(run.report().outputs[0]?.sqnrDb).toBeCloseTo(10 * Math.log10(signal / 60));
  });

  it("moves the channels of a square image where tfjs cannot but want them last", async () => {
    const square = float32(
      [1, 3, 3, 3],
      Array.from({ length: 27 }, (_, i) => i),
    );
    const seen: Tensor[] = [];
    const model = { name: "model.json", runtime: "tfjs" } as const;
    const run = new FloatRun(model, mirror(["N", 3, 3, 3], seen), ["out"], "nchw");
    await run.add(input(square), { out: square }, null);
    expect(seen[0]).toEqual(transpose(square, [0, 2, 3, 1]));
  });

  it("is refused when it is not the model that the file was made from", async () => {
    const model = { name: "other.onnx", runtime: "cpu" } as const;
    const run = new FloatRun(model, mirror(["N", 8, 8, 3], []), ["out"], "nhwc");
    await expect(run.add(input(nchw), { out: nchw }, null)).rejects.toThrow(
      /other\.onnx.*does not go with.*\[usage\]/,
    );
    expect(() => new FloatRun(model, mirror(["N", 2], []), ["a", "b"], "nhwc")).toThrow(
      /has 1 outputs, expected 2/,
    );
  });
});
