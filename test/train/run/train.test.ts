// Whole runs, on WebAssembly: what they leave behind, and that stopping leaves no trace in it.

import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { QdgError } from "../../../src/base/error.js";
import { thisProcess } from "../../../src/base/process-identity.js";
import { useBackend } from "../../../src/train/backends/backends.js";
import { loadLayersModel } from "../../../src/train/layers-model-file.js";
import { loadCheckpoint, saveCheckpoint } from "../../../src/train/run/checkpoint-file.js";
import type { Evaluation } from "../../../src/train/run/evaluate-domains.js";
import { silentObserver } from "../../../src/train/run/observer.js";
import { train } from "../../../src/train/run/train.js";
import type { AskedTrainOptions } from "../../../src/train/run/train-options.js";
import { contentOf, type RunContent, sha256, stopAfter, TINY } from "./tiny-run.js";

let folder = "";
let whole: RunContent;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-run-"));
  await train({ options: TINY, out: join(folder, "whole") });
  whole = await contentOf(join(folder, "whole"));
}, 60_000);
afterAll(() => rm(folder, { recursive: true }));

const copyOfWhole = async (name: string): Promise<string> => {
  const out = join(folder, name);
  await cp(join(folder, "whole"), out, { recursive: true });
  return out;
};

describe("a run", () => {
  test("leaves the model, the logs, and a checkpoint, and nothing else", () => {
    const files = [
      "checkpoint.bin",
      "freezing.jsonl",
      "log.jsonl",
      "model.json",
      "results.jsonl",
      "run.json",
      "weights.bin",
    ];
    expect(whole.files).toEqual(files);
    expect(whole.log.map((line) => (line as { step: number }).step)).toEqual([2, 4, 6, 8, 10, 12]);
    expect(whole.results.map((line) => (line as { step: number }).step)).toEqual([0, 4, 8, 12]);
    expect(whole.freezing).toHaveLength(3);
  });

  test("is described with every option and its value", async () => {
    const run = JSON.parse(await readFile(join(folder, "whole", "run.json"), "utf8")) as Record<
      string,
      unknown
    >;
    expect(run).toMatchObject({
      version: 1,
      options: { ...TINY, rho: 0.05, firstLastBits: 8 },
      backend: { name: "wasm" },
      model: { name: "resnet8" },
      domains: [
        { name: "flat", role: "source", training: 21, validation: 7 },
        { name: "neon", role: "source", training: 21, validation: 7 },
        { name: "sketch", role: "test", training: 21, validation: 7 },
        { name: "textured", role: "source", training: 21, validation: 7 },
      ],
    });
    expect((run["classes"] as unknown[]).length).toBe(7);
    expect((run["quantizers"] as unknown[]).length).toBeGreaterThan(10);
  });

  test("has results with the keys that DomainBed's scripts read", async () => {
    const [first, line] = (await readFile(join(folder, "whole", "results.jsonl"), "utf8")).split("\n");
    expect(JSON.parse(first as string)).toMatchObject({ step: 0, loss: null, quantized: false });
    const result = JSON.parse(line as string) as Record<string, unknown>;
    expect(result).toMatchObject({
      args: {
        algorithm: "gaqat",
        dataset: "shapes-dg",
        test_envs: [2],
        trial_seed: 0,
        holdout_fraction: 0.25,
      },
      hparams: { lr: 0.003, batch_size: 2 },
      step: 4,
      domains: ["flat", "neon", "sketch", "textured"],
      quantized: true,
    });
    expect(result["epoch"]).toBeCloseTo((4 * 2) / 21, 10);
    for (const env of [0, 1, 2, 3]) {
      for (const split of ["in", "out"]) {
        const accuracy = result[`env${env}_${split}_acc`] as number;
        expect(accuracy).toBeGreaterThanOrEqual(0);
        expect(accuracy).toBeLessThanOrEqual(1);
      }
    }
    expect(result["mem_gb"]).toBeGreaterThan(0.01);
    expect(result["step_time"]).toBeGreaterThan(0);
  });

  test("of the same seed is the same to the last bit; of another it is not", async () => {
    await train({ options: TINY, out: join(folder, "again") });
    expect(await contentOf(join(folder, "again"))).toEqual(whole);
    await train({ options: { ...TINY, seed: 1, steps: 4 }, out: join(folder, "other") });
    expect((await contentOf(join(folder, "other"))).log).not.toEqual(whole.log.slice(0, 2));
  });

  test("holds as many tensors after each step", async () => {
    const counts: number[] = [];
    const observer = { ...silentObserver, stepped: () => void counts.push(tf.memory().numTensors) };
    await train({ options: TINY, out: join(folder, "tensors"), observer });
    expect(counts).toHaveLength(12);
    expect(new Set(counts.slice(1)).size).toBe(1);
  });

  test("keeps the model that is best on the sources' validation images, or the last", async () => {
    const evaluations: [Evaluation, boolean][] = [];
    const observer = {
      ...silentObserver,
      evaluated: (e: Evaluation, kept: boolean) => evaluations.push([e, kept]),
    };
    const options = { ...TINY, evalEvery: 1 };
    const { kept } = await train({
      options,
      out: join(folder, "best"),
      observer: { ...observer, evaluated: (e, k) => void observer.evaluated(e, k) },
    });
    // The network as it is before the first step is evaluated, and no candidate.
    const trained = evaluations.filter(([{ step }]) => step > 0);
    expect(trained).toHaveLength(evaluations.length - 1);
    const best = Math.max(...trained.map(([evaluation]) => score(evaluation)));
    const expected = trained.findLast(([evaluation]) => Math.abs(score(evaluation) - best) < 1e-9)?.[0];
    expect(kept?.step).toBe(expected?.step);
    expect(evaluations.findLast(([, isKept]) => isKept)?.[0].step).toBe(expected?.step);
    const last = await train({ options: { ...options, select: "last" }, out: join(folder, "last") });
    expect(last.kept?.step).toBe(12);
  });

  test("in full precision first keeps no model from before its quantizers", async () => {
    const { window: _, ...rest } = TINY;
    const options = { ...rest, floatSteps: 9, method: "lsq", evalEvery: 2 };
    const result = await train({ options, out: join(folder, "float-first") });
    expect(result.kept?.step).toBeGreaterThan(9);
    expect(result.kept?.quantized).toBe(true);
    const { results, model } = await contentOf(join(folder, "float-first"));
    expect(results.map((line) => (line as { quantized: boolean }).quantized)).toEqual([
      false,
      false,
      false,
      false,
      false,
      true,
      true,
    ]);
    expect(model).toHaveProperty(["userDefinedMetadata", "qdg", "quantizers", "conv1/kernel"]);
  });

  test.each([
    ["erm", 4],
    ["sam", 4],
    ["sagm", 4],
    ["gradient-l1", 4],
    ["lsq", 4],
    ["lsq-sagm", 4],
    // An image is seen again after 11 steps.
    ["saf", 14],
    ["eq-net", 4],
    ["qt-dog", 4],
  ])("of %s ends, too", async (method, steps) => {
    const { bits: _, window: __, ...rest } = TINY;
    const options = { ...rest, method, steps, evalEvery: steps };
    const result = await train({ options, out: join(folder, `of-${method}`) });
    expect(result).toMatchObject({
      finished: true,
      kept: { step: steps, quantized: !["erm", "sam", "sagm", "gradient-l1"].includes(method) },
    });
  });
});

describe("a run that was stopped", () => {
  // 4: an evaluation is due; 6: a checkpoint; 5, 7: neither, 7 with the disorder window begun.
  test.each([0, 1, 4, 6, 7, 12])("after step %i goes on as if it never had been", async (step) => {
    const out = join(folder, `stopped-${step}`);
    const stop = stopAfter(step);
    const signal = step === 0 ? AbortSignal.abort() : stop.signal;
    const first = await train({ options: TINY, out, observer: stop.observer, signal });
    expect(first).toMatchObject({ finished: false, step });
    expect(await train({ options: {}, out, resume: true })).toMatchObject({ finished: true, step: 12 });
    expect(await contentOf(out)).toEqual(whole);
  });

  test.each([
    ["qt-dog", { bits: 4, qtDogStart: 6 }],
    ["gaqat", { floatSteps: 6, window: 4 }],
    ["fqat", { floatSteps: 6, window: 3 }],
    ["sqwa", { floatSteps: 2, cycles: 2, fineTuning: 0.4 }],
    // From step 16 on, 10 or 11 after the first output that is kept, images have an earlier one.
    ["saf", { floatSteps: 5, steps: 20, lateStops: [17, 19] }],
    ["gradient-l1", { bits: undefined, l1Start: 6 }],
    [
      "eq-net",
      { bits: undefined, bitSet: [2, 3, 4, 8], evaluateBits: [2, 4], floatSteps: 6, lateStops: [9] },
    ],
  ])(
    "goes on in full precision, and through the step where the quantizers of %s begin",
    async (method, own) => {
      const { window: _, ...rest } = TINY;
      const { lateStops = [], ...given } = own as AskedTrainOptions & { lateStops?: readonly number[] };
      const options = { ...rest, ...given, method } as AskedTrainOptions;
      await train({ options, out: join(folder, `${method}-whole`) });
      for (const step of [5, 6, 7, ...lateStops]) {
        const out = join(folder, `${method}-${step}`);
        await train({ options, out, ...stopAfter(step) });
        await train({ options: {}, out, resume: true });
        expect(await contentOf(out)).toEqual(await contentOf(join(folder, `${method}-whole`)));
      }
    },
  );

  test("tells nothing twice, though it had gone on past its checkpoint", async () => {
    const out = join(folder, "past");
    await train({ options: { ...TINY, checkpointEvery: 5 }, out, ...stopAfter(5) });
    const checkpoint = await readFile(join(out, "checkpoint.bin"));
    await train({ options: {}, out, resume: true, ...stopAfter(11) });
    await writeFile(join(out, "log.jsonl"), '{"step": 11, "lo', { flag: "a" });
    await writeFile(join(out, "checkpoint.bin"), checkpoint);
    await train({ options: {}, out, resume: true });
    expect(await contentOf(out)).toEqual(whole);
  });

  test("is finished once only", async () => {
    const out = await copyOfWhole("finished");
    const before = sha256(await readFile(join(out, "checkpoint.bin")));
    expect(await train({ options: {}, out, resume: true })).toMatchObject({ finished: true, step: 12 });
    expect(sha256(await readFile(join(out, "checkpoint.bin")))).toBe(before);
    expect(await contentOf(out)).toEqual(whole);
  });
});

test("the native backend goes on as if never stopped, too", async (context) => {
  await useBackend("tensorflow").catch((reason: Error) =>
    context.skip(`needs the backend tensorflow: ${reason.message}`),
  );
  const options = { ...TINY, backend: "tensorflow" };
  const [straight, stopped] = [join(folder, "native"), join(folder, "native-stopped")];
  await train({ options, out: straight });
  await train({ options, out: stopped, ...stopAfter(7) });
  expect(await train({ options: {}, out: stopped, resume: true })).toMatchObject({ finished: true });
  expect(await contentOf(stopped)).toEqual(await contentOf(straight));
});

describe("a run does not go on", () => {
  interface Row {
    readonly title: string;
    readonly change?: (out: string) => Promise<unknown>;
    readonly options?: object;
    readonly code: string;
    readonly says: RegExp;
  }
  const rows: readonly Row[] = [
    {
      title: "without a checkpoint",
      change: (out) => rm(join(out, "checkpoint.bin")),
      code: "not-found",
      says: /checkpoint\.bin: there is no checkpoint to go on from/,
    },
    {
      title: "from a damaged checkpoint",
      change: (out) => truncate(join(out, "checkpoint.bin"), 5000),
      code: "invalid-data",
      says: /checkpoint\.bin: got 5000 bytes, expected \d+; it is damaged|cut short/,
    },
    {
      title: "with a log that lost lines",
      change: (out) => truncate(join(out, "log.jsonl"), 10),
      code: "invalid-data",
      says: /log\.jsonl: got 10 bytes, expected at least \d+, as at the checkpoint/,
    },
    { title: "with other bits", options: { bits: 4 }, code: "usage", says: /--bits 4 \(was 3\)/ },
    {
      title: "with another model",
      options: { model: "resnet18" },
      code: "usage",
      says: /--model "resnet18" \(was "resnet8"\)/,
    },
    {
      title: "on another backend",
      options: { backend: "tensorflow" },
      code: "usage",
      says: /got tensorflow, but the run was started with wasm/,
    },
    {
      title: "with the weights of another model",
      change: (out) => editHeader(out, ["model", "weights", 3, "name"], "other/kernel"),
      code: "invalid-data",
      says: /is of another model: weight 4: got \S+ \[\d.*\], expected other\/kernel \[/,
    },
    {
      title: "with a model that is built otherwise",
      change: (out) => editHeader(out, ["model", "topologySha256"], "0"),
      code: "invalid-data",
      says: /is of another model: its layers are set otherwise/,
    },
    {
      title: "with another class",
      change: (out) => editHeader(out, ["dataset", "classes", 0], "dog"),
      code: "invalid-data",
      says: /the images are not those of the run: classes: got \["\w+".*expected \["dog"/,
    },
    {
      title: "with another number of images",
      change: (out) => editHeader(out, ["dataset", "domains", 1, "count"], 99),
      code: "invalid-data",
      says: /images in neon: got 28, expected 99/,
    },
    {
      title: "with other pixels",
      change: (out) => editHeader(out, ["dataset", "domains", 2, "sha256"], "0"),
      code: "invalid-data",
      says: /files or pixels of sketch/,
    },
    {
      title: "with the state of another method",
      change: (out) => editHeader(out, ["method", "method"], "erm"),
      code: "invalid-data",
      says: /method/,
    },
  ];

  test.each(rows)("$title", async ({ title, change, options = {}, code, says }) => {
    const out = await copyOfWhole(title.replaceAll(" ", "-"));
    await change?.(out);
    const before = await contentOf(out).catch(() => null);
    const thrown = await failureOf(train({ options, out, resume: true }));
    expect(thrown).toMatchObject({ name: "QdgError", code });
    expect(thrown.message).toMatch(says);
    // Nothing was cut back or replaced on the way.
    expect(await contentOf(out).catch(() => null)).toEqual(before);
  });

  test("with --force besides", async () => {
    const both = train({ options: {}, out: join(folder, "whole"), resume: true, force: true });
    await expect(both).rejects.toThrow(/--force: replaces the run that --resume would go on with/);
  });
});

describe("the folder of a run", () => {
  test("that is there is not replaced unasked", async () => {
    const out = join(folder, "whole");
    await expect(train({ options: TINY, out })).rejects.toMatchObject({ code: "exists" });
    await expect(train({ options: TINY, out })).rejects.toThrow(/--resume.*--force.*--out/);
    expect(await contentOf(out)).toEqual(whole);
  });

  test("is replaced when asked, and files of others stay", async () => {
    const out = await copyOfWhole("forced");
    await writeFile(join(out, "notes.txt"), "mine");
    await train({ options: { ...TINY, steps: 4 }, out, force: true });
    const content = await contentOf(out);
    expect(content.results).toHaveLength(2);
    expect(content.files).toContain("notes.txt");
  });

  test("is not replaced by a run that cannot start", async () => {
    const out = await copyOfWhole("kept");
    const options = { ...TINY, testDomain: ["nowhere"] };
    await expect(train({ options, out, force: true })).rejects.toThrow(
      /domain nowhere: is not in the data, which has flat, neon, sketch, textured/,
    );
    expect(await contentOf(out)).toEqual(whole);
  });

  test("is never that of the model it starts from", async () => {
    const out = join(folder, "pretrained");
    await mkdir(out);
    for (const file of ["model.json", "weights.bin"])
      await copyFile(join(folder, "whole", file), join(out, file));
    const options = { ...TINY, model: join(out, "model.json") };
    await expect(train({ options, out, force: true })).rejects.toThrow(/--out: got the folder of --model/);
    expect((await readdir(out)).sort()).toEqual(["model.json", "weights.bin"]);
  });
});

test("a run starts from the model of another, with its size and preprocessing", async () => {
  const options = {
    ...TINY,
    imageSize: undefined,
    model: join(folder, "whole", "model.json"),
    steps: 2,
    window: 2,
  };
  const { imageSize: _, ...rest } = options;
  const result = await train({
    options: { ...rest, keepHead: true, learningRate: 1e-9 },
    out: join(folder, "second"),
  });
  expect(result.options).toMatchObject({ imageSize: 8, statistics: "batch" });
  const before = await loadLayersModel(join(folder, "whole", "model.json"));
  const after = await loadLayersModel(join(folder, "second", "model.json"));
  const kernel = (model: typeof before): Float32Array =>
    model.weights.get("classes/kernel")?.data as Float32Array;
  kernel(after).forEach((x, i) => expect(x).toBeCloseTo(kernel(before)[i] as number, 6));
});

describe("a run from a trained model", () => {
  const { imageSize: _, window: __, ...rest } = TINY;

  test("learns by its defaults: from the loss of guessing, first in full precision, then at 3 bits", async () => {
    const notes: string[] = [];
    const options = {
      ...rest,
      method: "lsq",
      bits: 3,
      activationBits: 8,
      model: join(folder, "whole", "model.json"),
      steps: 150,
      batchSize: 4,
      evalEvery: 150,
    };
    const { options: used } = await train({
      options,
      out: join(folder, "recipe"),
      observer: { ...silentObserver, note: (note) => void notes.push(note) },
    });
    expect(used).toMatchObject({ statistics: "batch", learningRate: 1e-3, floatSteps: 30 });
    const { log } = await contentOf(join(folder, "recipe"));
    const losses = log.map((line) => (line as { loss: number }).loss);
    expect(Math.abs((losses[0] as number) - Math.log(7))).toBeLessThan(0.15);
    expect(losses.at(-1)).toBeLessThan(0.9 * Math.log(7));
    // The model before is of a dozen steps, and has little to give at first.
    expect(notes.filter((note) => note.includes("with quantizers"))).toEqual([]);
  });

  test("that does not learn says so while it runs, with the likely reason", async () => {
    const notes: string[] = [];
    const observer = { ...silentObserver, note: (note: string) => void notes.push(note) };
    const options = { ...TINY, learningRate: 1e-7, steps: 24, evalEvery: 24 };
    await train({ options, out: join(folder, "dead"), observer });
    expect(notes[0]).toMatch(
      /^it does not learn: after 20 steps with quantizers the loss is \d\.\d\d, guessing among 7 classes has 1\.95; the likely reason is --learning-rate 1e-7, which is low/,
    );
  });
});

describe("a folder that another run is in", () => {
  test("is an error for a second one, whatever it is asked to do, and the first goes on as if there were none", async () => {
    const out = join(folder, "shared");
    const refused: string[] = [];
    const { writeFileAtomic } = await import("../../../src/base/atomic-file.js");
    const write: typeof writeFileAtomic = async (path, bytes, options) => {
      await writeFileAtomic(path, bytes, options);
      for (const more of [{}, { force: true }, { resume: true }]) {
        const second = train({ options: more.resume ? {} : TINY, out, ...more });
        refused.push(
          await second.then(
            () => "trained",
            (thrown: Error) => thrown.message,
          ),
        );
      }
    };
    await train({ options: TINY, out, write });
    const inUse = new RegExp(`shared: is in use by process ${process.pid} on .* \\[unavailable\\]$`);
    expect(refused.length).toBeGreaterThan(6);
    for (const message of refused) expect(message).toMatch(inUse);
    expect(await contentOf(out)).toEqual(whole);
  });

  test("and was killed there is taken over, and that is said", async () => {
    const out = join(folder, "killed");
    await train({ options: TINY, out, ...stopAfter(7) });
    const { pid } = spawnSync(process.execPath, ["-e", "0"]);
    const owner = { ...thisProcess(), pid, started: "1", host: "here", since: "2026-01-02T03:04:05.000Z" };
    await writeFile(join(out, "run.lock"), JSON.stringify(owner));
    const notes: string[] = [];
    const observer = { ...silentObserver, note: (note: string) => void notes.push(note) };
    await train({ options: {}, out, resume: true, observer });
    expect(notes).toContain(
      `took over ${out} from process ${pid}, which began at 2026-01-02T03:04:05.000Z and has ended without giving it back`,
    );
    expect(await contentOf(out)).toEqual(whole);
  });

  test("is not made by a run that is refused", async () => {
    const options = { ...TINY, testDomain: ["nowhere"] };
    await expect(train({ options, out: join(folder, "none", "deep") })).rejects.toThrow("nowhere");
    expect(await readdir(folder)).not.toContain("none");
  });
});

test("a disk that is full while saving stops the run; the last good checkpoint stays, and the run goes on from it", async () => {
  const out = join(folder, "full");
  let saves = 0;
  const { writeFileAtomic } = await import("../../../src/base/atomic-file.js");
  const write: typeof writeFileAtomic = async (path, bytes, options) => {
    // Step 0 and step 3 are saved, step 6 is not.
    if (++saves === 3)
      throw new QdgError(
        "io",
        path,
        "cannot be written: ENOSPC: no space left on device; nothing was changed",
      );
    return writeFileAtomic(path, bytes, options);
  };
  await expect(train({ options: TINY, out, write })).rejects.toMatchObject({ code: "io" });
  const { values } = await loadCheckpoint(join(out, "checkpoint.bin"));
  expect(values).toMatchObject({ progress: { step: 3 } });
  await train({ options: {}, out, resume: true });
  expect(await contentOf(out)).toEqual(whole);
});

test.each([
  // e^85 times 127: a weight beyond float32, so a loss that is not a number.
  ["the loss", "classes/kernel/scale", 85, /^classes/, 7],
  // A variance beyond float32: the loss is finite, a gradient is not.
  ["statistics", "block2_conv1/kernel/scale", 80, /^block2_bn1/, 7],
])(
  "numbers that are not finite in %s stop the run with step, layer and the last good checkpoint",
  async (what, array, value, layer, step) => {
    const out = join(folder, `diverged-${what.replace(" ", "-")}`);
    await train({ options: TINY, out, ...stopAfter(7) });
    const path = join(out, "checkpoint.bin");
    const content = await loadCheckpoint(path);
    const kernel = array.replace("/scale", "");
    content.arrays.get(`network/${kernel}`)?.fill(3e38);
    content.arrays.get(`network/${array}`)?.fill(value);
    await saveCheckpoint(path, content);
    const before = sha256(await readFile(path));
    const thrown = await failureOf(train({ options: {}, out, resume: true }));
    expect(thrown).toMatchObject({ code: "runtime" });
    expect(thrown.where).toMatch(layer);
    expect(thrown.message).toContain(`step ${step} of 12: numbers are not finite`);
    expect(thrown.message).toContain(`the last good checkpoint is ${path}, of step 7`);
    expect(thrown.message).toMatch(/lower --learning-rate than 0.003, or with --clip-norm/);
    expect(sha256(await readFile(path))).toBe(before);
  },
);

async function failureOf(work: Promise<unknown>): Promise<QdgError> {
  return work.then(
    () => expect.unreachable(),
    (reason: unknown) => reason as QdgError,
  );
}

/** Changes one field of a checkpoint's values. */
async function editHeader(out: string, keys: readonly (string | number)[], value: unknown): Promise<void> {
  const path = join(out, "checkpoint.bin");
  const { values, arrays } = await loadCheckpoint(path);
  const copy = structuredClone(values) as Record<string | number, unknown>;
  let at = copy;
  for (const key of keys.slice(0, -1)) at = at[key] as Record<string | number, unknown>;
  expect(at).toHaveProperty([String(keys.at(-1))]);
  at[keys.at(-1) as string] = value;
  await saveCheckpoint(path, { values: copy, arrays });
}

/** Of the validation images of the sources, not yet a mean. */
function score({ domains }: Evaluation): number {
  return domains
    .filter(({ role }) => role === "source")
    .reduce((sum, { validation }) => sum + (validation ?? 0), 0);
}
