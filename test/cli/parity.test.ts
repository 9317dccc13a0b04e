import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, describe, expect, it, vi } from "vitest";
import { noProgress } from "../../src/base/progress.js";
import { float32 } from "../../src/base/tensor.js";
import { parityCommand, runParity } from "../../src/cli/commands/parity.js";
import { encodeModel } from "../../src/onnx/codec.js";
import type { ParityReport } from "../../src/parity/report.js";
import { inTemporaryFolder, npyOf, TINY_SHAPE, tinyInputs, tinyModel } from "../parity/tiny-models.js";

/** What is written to one of the streams while `work` runs. */
async function captured(stream: NodeJS.WriteStream, work: () => Promise<unknown>): Promise<string> {
  let text = "";
  const spy = vi.spyOn(stream, "write").mockImplementation((chunk: unknown) => {
    text += String(chunk);
    return true;
  });
  try {
    await work();
  } finally {
    spy.mockRestore();
  }
  return text;
}

function writeModel(folder: string, options: Parameters<typeof tinyModel>[0] = {}): string {
  const path = join(folder, "tiny.onnx");
  writeFileSync(path, encodeModel(tinyModel(options)));
  return path;
}

async function writeArray(folder: string, count: number): Promise<string> {
  const rows: number[] = [];
  for await (const { feeds } of tinyInputs(count).read())
    rows.push(...(feeds["image"]?.data as Float32Array));
  const path = join(folder, "x.npy");
  writeFileSync(path, npyOf(float32([count, ...TINY_SHAPE.slice(1)], rows)));
  return path;
}

afterEach(() => {
  process.exitCode = undefined;
});

describe("qdg parity", () => {
  it("prints the report as JSON on stdout and returns 0 for equal targets", async () => {
    await inTemporaryFolder(async (folder) => {
      const model = writeModel(folder);
      const data = [await writeArray(folder, 8)];
      let code = -1;
      const text = await captured(process.stdout, async () => {
        code = await runParity(
          { model, data, intermediates: true, reference: model },
          { json: true },
          noProgress,
        );
      });
      const report = JSON.parse(text) as ParityReport;
      expect(code).toBe(0);
      expect(report).toMatchObject({ passed: true, inputs: 8, reasons: [] });
      expect(report.targets.map(({ runtime }) => runtime)).toEqual(["cpu", "wasm"]);
      // The file as its own float model on cpu.
      expect(report.float?.outputs[0]?.top1Agreement).toBe(1);
    });
  });

  it("returns 3 outside the tolerance, and says why on stderr with nothing on stdout", async () => {
    await inTemporaryFolder(async (folder) => {
      const model = writeModel(folder, { floatWeights: true });
      const data = [await writeArray(folder, 8)];
      let error = "";
      const output = await captured(process.stdout, async () => {
        error = await captured(process.stderr, async () => {
          const args = [model, "--data", ...data, "--targets", "cpu", "--locate"];
          await parityCommand().parseAsync(args, { from: "user" });
        });
      });
      expect(process.exitCode).toBe(3);
      expect(output).toBe("");
      expect(error).toMatch(/FAILED\n.*\n?.*layer first/);
    });
  });

  it("writes the report as JUnit XML as well, over an older one, also when it does not pass", async () => {
    await inTemporaryFolder(async (folder) => {
      const data = [await writeArray(folder, 4)];
      const junit = join(folder, "report.xml");
      for (const [dead, code, failures] of [
        [true, 3, /failures="[1-9]/],
        [false, 0, /failures="0"/],
      ] as const) {
        const model = writeModel(folder, { dead });
        await captured(process.stderr, async () => {
          const args = [model, "--data", ...data, "--targets", "cpu", "--junit", junit];
          await parityCommand().parseAsync(args, { from: "user" });
        });
        expect(process.exitCode).toBe(code);
        expect(readFileSync(junit, "utf8")).toMatch(failures);
      }
      const args = [join(folder, "tiny.onnx"), "--data", ...data, "--junit", folder];
      await expect(parityCommand().parseAsync(args, { from: "user" })).rejects.toThrow(/is a folder/);
    });
  });

  it("returns 3 for a dead network", async () => {
    await inTemporaryFolder(async (folder) => {
      const model = writeModel(folder, { dead: true });
      const options = { model, data: ["random:4"], targets: ["cpu"] } as const;
      let code = -1;
      const text = await captured(process.stderr, async () => {
        code = await runParity(options, { json: false }, noProgress);
      });
      expect(code).toBe(3);
      expect(text).toContain("dead network");
    });
  });

  it("takes preprocessing and labels from the file, and gives accuracy by folder", async () => {
    await inTemporaryFolder(async (folder) => {
      const metadata = {
        "qdg.layout": "nhwc",
        "qdg.labels": '["red", "green", "blue"]',
        "qdg.preprocessing": '{"range": [-0.5, 0.5], "mean": [0], "std": [1], "resize": "stretch"}',
      };
      const model = writeModel(folder, { metadata });
      const colors = { red: [255, 40, 40], green: [40, 255, 40], blue: [40, 40, 255] };
      for (const [name, [r = 0, g = 0, b = 0]] of Object.entries(colors)) {
        mkdirSync(join(folder, "data", name), { recursive: true });
        const background = { r, g, b };
        const image = sharp({ create: { width: 8, height: 8, channels: 3, background } });
        writeFileSync(join(folder, "data", name, "1.png"), await image.png().toBuffer());
      }
      const text = await captured(process.stdout, () =>
        runParity({ model, data: [join(folder, "data")], targets: ["cpu"] }, { json: true }, noProgress),
      );
      const report = JSON.parse(text) as ParityReport;
      expect(report.accuracy).toEqual([{ group: "", inputs: 3, accuracy: 1 }]);
      expect(report.classesPredicted).toEqual({ logits: 3 });
    });
  });

  it.each([
    [["--data", "random:2", "--targets", "gpu"], /--targets/],
    [["--data", "random:2", "--count", "0"], /--count/],
    [["--data", "nowhere", "--layout", "nhwc"], /nowhere/],
    [
      ["--data", "nowhere"],
      /--layout: got none, and the model does not say how the axes of image \[1, 4, 4, 3\] are ordered; give nhwc/,
    ],
  ])("refuses %j", async (args, message) => {
    await inTemporaryFolder(async (folder) => {
      const metadata = {
        "qdg.preprocessing": '{"range": [0, 1], "mean": [0], "std": [1], "resize": "stretch"}',
      };
      const model = writeModel(folder, { metadata });
      await expect(parityCommand().parseAsync([model, ...args], { from: "user" })).rejects.toThrow(message);
    });
  });

  it("names a file that is missing, and one that is no model", async () => {
    await inTemporaryFolder(async (folder) => {
      const model = join(folder, "none.onnx");
      const run = (): Promise<number> => runParity({ model, data: ["random:1"] }, { json: true }, noProgress);
      await expect(run()).rejects.toThrow(/none\.onnx.*\[not-found\]/);
      writeFileSync(model, readFileSync(new URL(import.meta.url)));
      await expect(run()).rejects.toThrow(/\[invalid-onnx\]/);
      const reference = join(folder, "model.h5");
      const args = [writeModel(folder), "--data", "random:2", "--reference", reference];
      writeFileSync(reference, Buffer.from("\x89HDF\r\n\x1a\n", "latin1"));
      await expect(parityCommand().parseAsync(args, { from: "user" })).rejects.toThrow(
        /model\.h5: is a Keras \.h5 file, expected a model\.json or an ONNX file/,
      );
    });
  });
});
