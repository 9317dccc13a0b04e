// Ctrl-C and SIGTERM at random moments of long commands. Their seed is told where a test fails.

import { spawn } from "node:child_process";
import { link, readdir, readFile, writeFile } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeModel } from "../../src/onnx/codec.js";
import { bodyNode } from "../../src/onnx/local-function.js";
import type { TensorProto } from "../../src/onnx/model-proto.js";
import { buildCli, QDG } from "../support/built-cli.js";
import { exportShapes, SHAPES_MODEL, writeDomains } from "../support/certified-models.js";
import { newFolder, removeFolder, writeImages, writeResnet } from "../support/small-models.js";

/** Signals to each command. */
const MOMENTS = 2;
/**
 * From the signal to the end of the process. The promise is two seconds; on a machine with fewer cores than work even the
 * process that only waits for signals and a clock has to wait for its turn. What fails here did not end at all: each of
 * these commands takes half a minute or more.
 */
const LIMIT_MS = 6000;

const SEED: number = Math.floor(Math.random() * 2 ** 31);

let folder = "";
const commands: Record<string, string[]> = {};

beforeAll(async () => {
  buildCli();
  folder = await newFolder();
  const model = await writeResnet(join(folder, "model"), { width: 16, size: 96 });
  const images = await writeImages(join(folder, "images"), 1);
  for (let i = 1; i < 2000; i++) await link(join(images, "000.png"), join(images, `${i}.png`));
  const domains = await writeDomains(join(folder, "domains"), 60);
  const evaluated = await writeDomains(join(folder, "evaluated"), 60);
  const drawings = (await readdir(evaluated, { recursive: true })).filter((name) => name.endsWith(".png"));
  for (const name of drawings) {
    const path = join(evaluated, name);
    for (let i = 0; i < 150; i++) await link(path, path.replace(/\.png$/, `-${i}.png`));
  }
  const exported = await exportShapes(join(folder, "exported"));
  await writeFile(join(folder, "folds.onnx"), encodeModel(slowToFold()));
  const onnx = join(exported, "model.onnx");
  Object.assign(commands, {
    export: [
      "export",
      model,
      "--bits",
      "4",
      "--preprocess",
      "0,1",
      "--calibration",
      images,
      "--calibration-count",
      "2000",
      "-o",
      join(folder, "out", "export", "m.onnx"),
    ],
    inspect: ["inspect", join(folder, "folds.onnx")],
    parity: ["parity", onnx, "--data", "random:100000", "--count", "100000"],
    certify: [
      "certify",
      SHAPES_MODEL,
      exported,
      "--data",
      "random:100000",
      "--count",
      "100000",
      "--targets",
      "cpu",
      "-o",
      join(folder, "out", "certify", "c.json"),
    ],
    evaluate: ["evaluate", onnx, "--data", evaluated, "--targets", "cpu,wasm"],
    train: [
      "train",
      "--data",
      domains,
      "--test-domain",
      "other",
      "--method",
      "lsq",
      "--model",
      "resnet18",
      "--image-size",
      "96",
      "--batch-size",
      "16",
      "--backend",
      "wasm",
      "--steps",
      "1000",
      "--out",
      join(folder, "out", "train"),
    ],
  });
});
afterAll(() => removeFolder(folder));

/** A file of a few hundred bytes whose constants take the reference a minute to fold, without a pause in between. */
function slowToFold(): Parameters<typeof encodeModel>[0] {
  const nodes = [
    bodyNode("ConstantOfShape", ["size"], ["x0"]),
    bodyNode("ConstantOfShape", ["weights"], ["w"]),
    ...Array.from({ length: 100 }, (_, i) =>
      bodyNode("Conv", [`x${i}`, "w"], [`x${i + 1}`], { pads: [1, 1, 1, 1] }),
    ),
    bodyNode("Add", ["in", "x100"], ["y"]),
  ];
  const type = {
    tensorType: { elemType: 1, shape: { dim: [1, 64, 96, 96].map((dimValue) => ({ dimValue })) } },
  };
  return {
    irVersion: 10,
    opsetImport: [{ version: 21 }],
    graph: {
      name: "g",
      node: nodes,
      initializer: [integers("size", [1, 64, 96, 96]), integers("weights", [64, 64, 3, 3])],
      input: [{ name: "in", type }],
      output: [{ name: "y", type }],
    },
  };
}

function integers(name: string, list: readonly number[]): TensorProto {
  return { name, dims: [list.length], dataType: 7, int64Data: BigInt64Array.from(list, BigInt) };
}

interface Ended {
  readonly code: number | null;
  readonly tookMs: number;
  readonly stderr: string;
}

function interrupted(args: readonly string[], signal: "SIGINT" | "SIGTERM", afterMs: number): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn("node", [QDG, ...args], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, XDG_CACHE_HOME: join(folder, "cache") },
    });
    let stderr = "";
    let sentAt = 0;
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const timer = setTimeout(() => {
      sentAt = performance.now();
      child.kill(signal);
    }, afterMs);
    child.on("error", reject);
    child.on("close", (exitCode, endedBy) => {
      clearTimeout(timer);
      // Before the program has begun the system ends it, which shells report by the same number.
      const code = endedBy === null ? exitCode : 128 + constants.signals[endedBy];
      resolve({ code, tookMs: performance.now() - sentAt, stderr });
    });
  });
}

describe.each(["export", "inspect", "parity", "certify", "evaluate", "train"])("qdg %s", (command) => {
  test("ends soon after a signal at random moments, and leaves nothing half-written", async () => {
    let state = SEED;
    for (let i = 0; i < MOMENTS; i++) {
      const signal = i % 2 === 0 ? "SIGINT" : "SIGTERM";
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      // From the loading of modules into the middle of the work.
      const afterMs = 300 + (state / 2 ** 32) * 4000;
      const args = [...(commands[command] as string[]), ...(command === "train" ? ["--force"] : [])];
      const ended = await interrupted(args, signal, afterMs);
      const what = `seed ${SEED}: ${signal} after ${afterMs.toFixed(0)} ms: ${ended.stderr}`;
      expect(ended.code, what).toBe(signal === "SIGINT" ? 130 : 143);
      expect(ended.tookMs, what).toBeLessThan(LIMIT_MS);
      const left = await readdir(folder, { recursive: true });
      expect(
        left.filter((name) => /\.(tmp|old)$/.test(name)),
        what,
      ).toEqual([]);
      expect(
        left.filter((name) => /(m\.onnx|c\.json)$/.test(name) && name.startsWith("out")),
        what,
      ).toEqual([]);
      for (const name of left.filter((each) => /^out.*\.json$/.test(each))) {
        JSON.parse(await readFile(join(folder, name), "utf8"));
      }
    }
  });
});
