// An export for webgpu: which files it writes, what they say of themselves, and what it warns of.

import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { float32 } from "../../src/base/tensor.js";
import { exportModel } from "../../src/export/export-model.js";
import { plannedFiles } from "../../src/export/file-plan.js";
import type { ExportOptions } from "../../src/export/options.js";
import { warningsOf } from "../../src/export/warnings.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Graph } from "../../src/graph/graph.js";
import { FORMS } from "../../src/model/onnx-metadata.js";
import { lower } from "../../src/lower/lower.js";
import { decodeModel } from "../../src/onnx/codec.js";
import { quantizedTensors } from "../../src/export/quantized-tensors.js";
import { activationSpec, weightSpec } from "../../src/quant/spec.js";
import { runCli } from "../support/run-cli.js";

const shapes = new URL("../../models/shapes/model.json", import.meta.url).pathname;
let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), "qdg-export-"))));
afterEach(() => rm(folder, { recursive: true, force: true }));

const exported = (options: Partial<ExportOptions>): ReturnType<typeof exportModel> =>
  exportModel({ model: shapes, output: join(folder, "model.onnx"), ...options });

async function metadataOf(path: string): Promise<Record<string, string>> {
  const { metadataProps = [] } = decodeModel(await readFile(path));
  return Object.fromEntries(metadataProps.map(({ key = "", value = "" }) => [key, value]));
}

describe("an export", () => {
  test("for cpu, wasm and webgpu writes two files with quantized tensors of the same names and bits", async () => {
    const result = await exported({ targets: ["cpu", "wasm", "webgpu"] });
    const [host, webgpu] = [join(folder, "model.onnx"), join(folder, "model.webgpu.onnx")];
    expect(result).toMatchObject({ path: host, form: "integer", warnings: [] });
    expect(result.files).toEqual([
      { path: host, targets: ["cpu", "wasm"], form: "integer", sizeBytes: (await readFile(host)).length },
      { path: webgpu, targets: ["webgpu"], form: "webgpu", sizeBytes: (await readFile(webgpu)).length },
    ]);
    const names = [host, webgpu].map(async (path) =>
      quantizedTensors(decodeModel(await readFile(path)))
        .map(({ name, bits }) => `${name} ${bits}`)
        .sort(),
    );
    const [a, b = []] = await Promise.all(names);
    // The integer form lists what only moves as well.
    expect(a).toEqual(expect.arrayContaining(b));
    expect(b).toHaveLength(11);
    const facts = await metadataOf(webgpu);
    const { "qdg.form": form, "qdg.quantized": quantized, ...rest } = facts;
    expect(form).toBe("webgpu");
    expect(JSON.parse(quantized ?? "")).toContainEqual(["input/quantized", 0, 255]);
    const { "qdg.form": _, ...hostFacts } = await metadataOf(host);
    expect(rest).toEqual(hostFacts);
  });

  test("for webgpu alone writes the one file under the name asked for", async () => {
    const result = await exported({ targets: ["webgpu"] });
    expect(result.files).toMatchObject([{ path: join(folder, "model.onnx"), form: "webgpu" }]);
    expect(await readdir(folder)).toEqual(["model.onnx"]);
  });

  test("without webgpu writes no second file", async () => {
    const { files } = await exported({});
    expect(files).toMatchObject([{ targets: ["cpu", "wasm"], form: "integer" }]);
    expect(await readdir(folder)).toEqual(["model.onnx"]);
  });

  test("in float32 is one file for every target", async () => {
    const { files } = await exported({ float: true, targets: ["cpu", "webgpu"] });
    expect(files).toMatchObject([{ targets: ["cpu", "webgpu"], form: null }]);
    expect(await readdir(folder)).toEqual(["model.onnx"]);
  });

  test("writes neither file when the second is there already, unless forced", async () => {
    const second = join(folder, "model.webgpu.onnx");
    await writeFile(second, "mine");
    const targets = ["cpu", "webgpu"] as const;
    await expect(exported({ targets })).rejects.toMatchObject({ code: "exists", where: second });
    expect(existsSync(join(folder, "model.onnx"))).toBe(false);
    expect(await readFile(second, "utf8")).toBe("mine");
    await exported({ targets, force: true });
    expect((await readFile(second)).length).toBeGreaterThan(1000);
  });

  test.each([
    [{ form: "float" }, "--form: is about files for cpu and wasm"],
    [{ tune: true }, "--tune: is about files for cpu and wasm"],
    [{ targets: [] }, "--target: got none"],
  ] as const)("for webgpu alone refuses %j", async (options, message) => {
    await expect(exported({ targets: ["webgpu"], ...options })).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining(message),
    });
    expect(await readdir(folder)).toEqual([]);
  });

  test("prints a line for each file, with its targets", async () => {
    const output = join(folder, "m.onnx");
    const { code, stderr } = await runCli("export", shapes, "-o", output, "--target", "wasm,webgpu");
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /m\.onnx {9,}\d+\.\d kB {2}for wasm .*\n.*m\.webgpu\.onnx +\d+\.\d kB {2}for webgpu +webgpu form\n/,
    );
  });
});

test.each([
  ["out/a.onnx", "out/a.webgpu.onnx"],
  ["a.ONNX", "a.webgpu.onnx"],
  ["a", "a.webgpu.onnx"],
  ["a.onnx/b", "a.onnx/b.webgpu.onnx"],
])("beside %s stands %s", (output, second) => {
  expect(plannedFiles({ output, targets: ["webgpu", "cpu"] }).map(({ path }) => path)).toEqual([
    output,
    second,
  ]);
});

/** A Gemm of `length` weights of 127 over an input of 8 bits: sums reach length * 127 * 255. */
function longSum(length: number): Graph {
  const net = new GraphBuilder("long");
  const x = net.input("x", [1, length]);
  x.quantization = {
    spec: activationSpec(8, "non-negative"),
    params: { scale: Float32Array.of(1), zeroPoint: Int32Array.of(0) },
  };
  const kernel = net.constant("dense/kernel", float32([1, length], new Float32Array(length).fill(127)));
  kernel.quantization = {
    spec: weightSpec(8, 0),
    params: { scale: Float32Array.of(1), zeroPoint: Int32Array.of(0) },
  };
  net.output(net.node("Gemm", "dense", [x, kernel], { name: "dense", shape: [1, 1] }, { transB: 1 }));
  return net.graph;
}

describe("sums that float32 may not hold", () => {
  const widest = Math.floor((2 ** 24 - 1) / (127 * 255));

  test("are noted from 2^24 on, in the forms that add in float32", () => {
    for (const form of FORMS) {
      const { wideSums } = lower(longSum(widest), { form, weights: "packed" });
      expect([...wideSums]).toEqual([]);
    }
    const bound = (widest + 1) * 127 * 255;
    expect(bound).toBeGreaterThanOrEqual(2 ** 24);
    for (const form of ["float", "webgpu"] as const) {
      const { wideSums } = lower(longSum(widest + 1), { form, weights: "packed" });
      expect([...wideSums]).toEqual([["dense", bound]]);
    }
    expect(lower(longSum(widest + 1), { form: "integer", weights: "packed" }).wideSums.size).toBe(0);
  });

  test("are warned of by layer and by how much", () => {
    const lowered = lower(longSum(2 * widest), { form: "webgpu", weights: "packed" });
    const files = [{ form: "webgpu" as const, lowered }];
    expect(warningsOf("learned", [], null, files, { skipped: "not run" })).toEqual([
      expect.stringMatching(
        /^dense: its sums can reach 335\d{5}, 2\.00 times 2\^24, and the webgpu form adds in float32/,
      ),
    ]);
  });
});
