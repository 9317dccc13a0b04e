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
import { runtimeOf } from "../runtime/registry.js";
import type { RuntimeName } from "../runtime/runtime.js";
import type { SelfTestCase } from "../web/manifest.js";
import type { DeployedModels, ModelFile } from "./deployed-models.js";

/** The longest side of a test picture: enough to tell arithmetic, small enough to send with every page. */
const LONGEST_SIDE = 64;
const DRAWN: readonly number[] = [0, 3, 5];
/**
 * What two runtimes may differ by after the integers: the last operators run in float32, whose sums depend on
 * their order (1.6e-7 was seen). One step of an integer moves an output by far more.
 */
const TOLERANCE = 1e-5;

/**
 * Test pictures with the expected values of every output: `|got - value| <= 1e-5 * max(1, largest |value|)`.
 *
 * @throws QdgError `runtime` where a file for another device or ONNX Runtime on WebAssembly computes anything else,
 * and where the network gives the same answer to all pictures, which no test could tell from a broken one
 */
export async function selfTestCases(
  models: DeployedModels,
  progress: Progress = noProgress,
): Promise<SelfTestCase[]> {
  const [first, ...others] = models.files;
  if (!first) throw new QdgError("internal", "selfTestCases", "got no files, expected at least one");
  const pictures = testPictures(models.input.height, models.input.width);
  const steps = pictures.length * (2 + others.length);
  let done = 0;
  const run = async (runtime: RuntimeName, file: ModelFile): Promise<Record<string, Tensor>[]> => {
    const session = await (await runtimeOf(runtime)).open({ bytes: file.bytes });
    const results = [];
    try {
      for (const picture of pictures) {
        const feeds = { [models.inputName]: imageToTensor(picture, models.input) };
        results.push(await session.run(feeds));
        progress.report("self-test", ++done, steps);
      }
    } finally {
      await session.dispose();
    }
    return results;
  };
  const expected = (await run("reference", first)).map(expectedOf);
  checkAlive(expected, models, first);
  for (const file of others) check(expected, await run("reference", file), `${file.path} in the reference`);
  check(expected, await run("wasm", first), `${first.path} in ONNX Runtime on WebAssembly`);
  return pictures.map(({ width, height, data }, i) => ({
    width,
    height,
    pixels: Buffer.from(data).toString("base64"),
    sha256: createHash("sha256").update(data).digest("hex"),
    expected: expected[i] ?? {},
  }));
}

/** Three drawn shapes and noise, of the input's size but at most 64 pixels a side. */
export function testPictures(height: number, width: number): Image[] {
  const shrink = Math.min(1, LONGEST_SIDE / Math.max(height, width));
  const [h, w] = [Math.max(1, Math.round(height * shrink)), Math.max(1, Math.round(width * shrink))];
  const random = generator(1);
  const noise = Uint8Array.from({ length: h * w * 3 }, () => Math.floor(256 * random()));
  const side = SHAPE_IMAGE_SIZE;
  return [
    ...DRAWN.map((label) => {
      const data = drawShape(SHAPE_LABELS[label] ?? "circle", 1, label);
      return resample({ width: side, height: side, channels: 3, data }, w, h);
    }),
    { width: w, height: h, channels: 3, data: noise },
  ];
}

type Expected = SelfTestCase["expected"];

function expectedOf(results: Readonly<Record<string, Tensor>>): Expected {
  return Object.fromEntries(
    Object.entries(results).map(([name, { data }]) => {
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

function check(cases: readonly Expected[], got: readonly Record<string, Tensor>[], where: string): void {
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
        `output ${name} differs from the reference by ${worst} on test picture ${i + 1}, expected up to ${tolerance}; qdg parity shows where`,
      );
    }
  }
}
