// The pictures that a visitor's device is tested with, and what the trained model makes of them: computed by
// the reference from the bytes that are deployed, never by the runtime that is tested.

import { createHash } from "node:crypto";
import { QdgError } from "../base/error.js";
import { noProgress, type Progress } from "../base/progress.js";
import type { Tensor } from "../base/tensor.js";
import { drawShape, generator, SHAPE_IMAGE_SIZE, SHAPE_LABELS } from "../image/draw-shapes.js";
import type { Image } from "../image/image.js";
import { resample } from "../image/resample.js";
import { imageToTensor } from "../image/to-tensor.js";
import { decodeModel } from "../onnx/codec.js";
import { runtimeOf } from "../runtime/registry.js";
import type { RuntimeName } from "../runtime/runtime.js";
import { checkIntegers, withKnownOutputs } from "../web/known-integers.js";
import type { KnownIntegers, SelfTestCase } from "../web/manifest.js";
import type { DeployedModels, ModelFile } from "./deployed-models.js";
import { innerTensors, knownIntegers } from "./known-integers.js";

/** The longest side of a test picture: enough to tell arithmetic, small enough to send with every page. */
const LONGEST_SIDE = 64;
const DRAWN: readonly number[] = [0, 3];
/**
 * What two runtimes may differ by after the integers: the last operators run in float32, whose sums depend on
 * their order (1.6e-7 was seen). One step of an integer moves an output by far more.
 */
const TOLERANCE = 1e-5;

/** What a visitor's device is tested with. */
export interface SelfTest {
  readonly cases: readonly SelfTestCase[];
  /** One for each file, in their order. */
  readonly integers: readonly KnownIntegers[];
}

/**
 * Test pictures with the expected values of every output, `|got - value| <= 1e-5 * max(1, largest |value|)`, and the
 * integers inside the network for the first one. One picture is enough for those, as it takes every layer through
 * every position; each costs a visitor a pass over all activations, millions of them in a network for photos.
 *
 * @throws QdgError `runtime` where a file for another device or ONNX Runtime on WebAssembly computes anything else,
 * and where the network gives the same answer to all pictures, which no test could tell from a broken one;
 * `unsupported-model` for files that quantize other tensors
 */
export async function selfTestOf(models: DeployedModels, progress: Progress = noProgress): Promise<SelfTest> {
  const [first, ...others] = models.files;
  if (!first) throw new QdgError("internal", "selfTestOf", "got no files, expected at least one");
  const pictures = testPictures(models.input.height, models.input.width);
  const feeds = pictures.map((picture) => ({ [models.inputName]: imageToTensor(picture, models.input) }));
  const steps = pictures.length * (2 + others.length);
  let done = 0;
  const run = async (runtime: RuntimeName, bytes: Uint8Array): Promise<Results[]> => {
    const session = await (await runtimeOf(runtime)).open({ bytes });
    const results = [];
    try {
      for (const each of feeds) {
        results.push(await session.run(each));
        progress.report("self-test", ++done, steps);
      }
    } finally {
      await session.dispose();
    }
    return results;
  };
  const inner = innerTensors(first, first);
  const results = await run("reference", withKnownOutputs(first.bytes, inner));
  const names = outputNames(first);
  const expected = results.map((each) => expectedOf(each, names));
  checkAlive(expected, models, first);
  const known = await knownIntegers(inner, results[0] ?? {});
  const integers = [known];
  for (const file of others) {
    const where = `${file.path} in the reference`;
    const tensors = innerTensors(first, file);
    const got = await run("reference", withKnownOutputs(file.bytes, tensors));
    check(expected, got, where);
    const own = await knownIntegers(tensors, results[0] ?? {});
    await checkIntegers(got[0] ?? {}, own, where, SHOWN_BY_PARITY);
    integers.push(own);
  }
  const where = `${first.path} in ONNX Runtime on WebAssembly`;
  check(expected, await run("wasm", first.bytes), where);
  const opened = await (await runtimeOf("wasm")).open({ bytes: withKnownOutputs(first.bytes, inner) });
  try {
    await checkIntegers(await opened.run(feeds[0] ?? {}), known, where, SHOWN_BY_PARITY);
  } finally {
    await opened.dispose();
  }
  const cases = pictures.map(({ width, height, data }, i) => ({
    width,
    height,
    pixels: Buffer.from(data).toString("base64"),
    sha256: createHash("sha256").update(data).digest("hex"),
    expected: expected[i] ?? {},
  }));
  return { cases, integers };
}

const SHOWN_BY_PARITY = "qdg parity shows where";

/** Noise, which every channel answers to, and two drawn shapes; of the input's size, at most 64 pixels per side. */
export function testPictures(height: number, width: number): Image[] {
  const shrink = Math.min(1, LONGEST_SIDE / Math.max(height, width));
  const [h, w] = [Math.max(1, Math.round(height * shrink)), Math.max(1, Math.round(width * shrink))];
  const random = generator(1);
  const noise = Uint8Array.from({ length: h * w * 3 }, () => Math.floor(256 * random()));
  const side = SHAPE_IMAGE_SIZE;
  return [
    { width: w, height: h, channels: 3, data: noise },
    ...DRAWN.map((label) => {
      const data = drawShape(SHAPE_LABELS[label] ?? "circle", 1, label);
      return resample({ width: side, height: side, channels: 3, data }, w, h);
    }),
  ];
}

type Expected = SelfTestCase["expected"];
type Results = Readonly<Record<string, Tensor>>;

function outputNames({ bytes, path }: ModelFile): string[] {
  return (decodeModel(bytes, path).graph?.output ?? []).map(({ name = "" }) => name);
}

function expectedOf(results: Results, names: readonly string[]): Expected {
  return Object.fromEntries(
    names.map((name) => {
      const { data } = results[name] as Tensor;
      const values = Array.from(data as ArrayLike<number | bigint>, Number);
      const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
      if (!Number.isFinite(largest)) {
        throw new QdgError("runtime", name, "is not finite for a test picture; the model cannot be deployed");
      }
      return [name, { values, tolerance: TOLERANCE * largest }];
    }),
  );
}

function checkAlive(cases: readonly Expected[], { output }: DeployedModels, file: ModelFile): void {
  const answers = new Set(cases.map((each) => JSON.stringify(each[output.name]?.values)));
  if (answers.size > 1) return;
  throw new QdgError(
    "runtime",
    file.path,
    `output ${output.name} is the same for ${cases.length} different pictures, so a self-test would show nothing; qdg parity tells which layer is dead`,
  );
}

function check(cases: readonly Expected[], got: readonly Results[], where: string): void {
  for (const [i, expected] of cases.entries()) {
    for (const [name, { values, tolerance }] of Object.entries(expected)) {
      const data = got[i]?.[name]?.data;
      const worst = values.reduce(
        // A NaN is no small difference.
        (most, value, k) =>
          Math.max(most, Math.abs(Number(data?.[k]) - value) || (Number(data?.[k]) === value ? 0 : Infinity)),
        0,
      );
      if (data?.length === values.length && worst <= tolerance) continue;
      throw new QdgError(
        "runtime",
        where,
        `output ${name} differs from the reference by ${worst} on test picture ${i + 1}, expected up to ${tolerance}; ${SHOWN_BY_PARITY}`,
      );
    }
  }
}
