import { describe, expect, it } from "vitest";
import type { ModelProto } from "../../src/onnx/model-proto.js";
import type { CompareOptions } from "../../src/parity/compare.js";
import { compare } from "../../src/parity/compare.js";
import type { ParityReport } from "../../src/parity/report.js";
import { formatReport } from "../../src/parity/report.js";
import { reread, tinyInputs, tinyModel } from "./tiny-models.js";

function check(model: ModelProto, options: Partial<CompareOptions> = {}): Promise<ParityReport> {
  return compare({
    name: "tiny.onnx",
    model: reread(model),
    targets: ["cpu", "wasm"],
    float: null,
    inputs: tinyInputs(12),
    intermediates: true,
    locate: true,
    layout: "nhwc",
    labels: null,
    ...options,
  });
}

describe("compare", () => {
  it("passes a live network whose targets compute the reference's integers", async () => {
    const report = await check(tinyModel());
    expect(report.reasons).toEqual([]);
    expect(report.passed).toBe(true);
    expect(report.inputs).toBe(12);
    expect(
      report.quantized.map(({ name, bits, scale, zeroPoint }) => [name, bits, scale, zeroPoint]),
    ).toEqual([
      ["image_q", 4, 1 / 16, 8],
      ["first", 4, 1 / 8, 0],
      ["second", 4, 1 / 2, 8],
    ]);
    for (const target of report.targets) {
      expect(
        target.tensors?.map(({ name, mismatches }) => [name, mismatches.count, mismatches.total]),
      ).toEqual([
        ["image_q", 0, 12 * 48],
        ["first", 0, 12 * 96],
        ["second", 0, 12 * 48],
      ]);
      expect(target.firstDifference).toBeNull();
      expect(target.outputs[0]?.top1Agreement).toBe(1);
    }
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    expect(formatReport(report)).toContain("PASSED");
  });

  it("counts every element that differs, its steps, and names the first layer", async () => {
    const report = await check(tinyModel({ floatWeights: true }), { inputs: tinyInputs(5) });
    expect(report.passed).toBe(false);
    for (const target of report.targets) {
      const [input, first] = target.tensors ?? [];
      expect(input?.mismatches.count).toBe(0);
      expect(first?.mismatches.count).toBeGreaterThan(0);
      const counted = first?.histogram.reduce((sum, [, count]) => sum + count, 0);
      expect(counted).toBe(first?.mismatches.count);
      expect(first?.mismatches.largestSteps).toBe(
        Math.max(...(first?.histogram ?? []).map(([steps]) => Math.abs(steps))),
      );
      expect(target.firstDifference).toMatchObject({ layer: "first", tensor: "first" });
    }
    expect(report.reasons.join("\n")).toContain("the first is first (layer first)");
    expect(formatReport(report)).toContain("first difference: layer first");
  });

  it("finds a difference with --locate alone, and says so", async () => {
    const report = await check(tinyModel({ floatWeights: true }), { intermediates: false });
    expect(report.targets[0]?.tensors).toBeNull();
    expect(report.targets[0]?.firstDifference?.layer).toBe("first");
    expect(report.reasons).toContain("cpu: quantized tensor first (layer first) differs");
  });

  it("fails a dead network, however equal", async () => {
    const report = await check(tinyModel({ dead: true }));
    expect(
      report.targets.every((target) => target.tensors?.every(({ mismatches }) => mismatches.count === 0)),
    ).toBe(true);
    expect(report.passed).toBe(false);
    expect(report.reasons[0]).toMatch(/dead network: layer second uses 1 level/);
    expect(formatReport(report)).toContain("FAILED");
  });

  it("finds dead layers also when nobody looks at intermediates", async () => {
    const report = await check(tinyModel({ dead: true }), { intermediates: false, locate: false });
    expect(report.reasons.join("\n")).toMatch(/layer second uses 1 level/);
  });

  it("fails a network that predicts one class for inputs that differ", async () => {
    const report = await check(tinyModel({ oneClass: true }));
    expect(report.reasons).toEqual([expect.stringMatching(/output logits is class 2 for all inputs/)]);
    expect(report.classesPredicted).toEqual({ logits: 1 });
  });

  it("does not judge classes by copies of one input, and notes that", async () => {
    const report = await check(tinyModel({ oneClass: true }), { inputs: tinyInputs(3, true) });
    expect(report.reasons).toEqual([]);
    expect(report.notes.join()).toMatch(/no two inputs differ/);
  });

  it("scores labels that are the model's, and names folders that are not", async () => {
    const labels = ["a", "b", "c"];
    const report = await check(tinyModel(), {
      labels,
      inputs: tinyInputs(12, false, (i) => (i < 2 ? "other" : (labels[i % 3] as string))),
    });
    expect(report.accuracy).toHaveLength(1);
    expect(report.accuracy[0]?.inputs).toBe(10);
    expect(report.targets.map((target) => target.accuracy)).toEqual([report.accuracy, report.accuracy]);
    expect(report.notes.join()).toMatch(/folders other are not among the model's labels \(a, b, c\)/);
  });

  it("has no inputs to compare on: an error, not a pass", async () => {
    await expect(check(tinyModel(), { inputs: tinyInputs(0) })).rejects.toThrow(/no input could be read/);
  });
});
