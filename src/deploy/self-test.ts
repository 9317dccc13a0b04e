// The pictures that a visitor's device is tested with, and what the trained model makes of them: computed by
// the reference from the bytes that are deployed, never by the runtime that is tested.

import { createHash } from "node:crypto";
import { QdgError } from "../base/error.js";
import { noProgress, type Progress } from "../base/progress.js";
import type { Tensor } from "../base/tensor.js";
import { noisePicture } from "../image/noise-picture.js";
import type { ImageInput } from "../image/to-tensor.js";
import { preprocessingToJson } from "../image/preprocessing.js";
import { decodeModel } from "../onnx/codec.js";
import { modelToGraph } from "../onnx/to-graph.js";
import { runtimeOf } from "../runtime/registry.js";
import type { RuntimeName } from "../runtime/runtime.js";
import { checkIntegers, withKnownOutputs } from "../web/known-integers.js";
import type { KnownIntegers, ManifestClassifier } from "../web/manifest.js";
import {
  type Feeds,
  type SelfTestCase,
  type SelfTestNumbers,
  type SelfTestPicture,
  testInput,
} from "../web/self-test-case.js";
import type { DeployedModels, ImageClassifier, ModelFile } from "./deployed-models.js";
import { innerTensors, knownIntegers } from "./known-integers.js";
import { seededInputs } from "./seeded-inputs.js";

const LONGEST_SIDE = 64;
/** Of the pictures: noise, which every channel answers to, and patches of color, small and large. */
const CELLS: readonly number[] = [1, 5, 16];
/** Of inputs that are numbers. */
const SEEDS: readonly number[] = [1, 2];
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
  /** What of the file the engine does not compute; null where it computes all of it. */
  readonly refusedByEngine: string | null;
}

/**
 * Test inputs with the expected values of every output, `|got - value| <= 1e-5 * max(1, largest |value|)`, and the
 * integers inside the network for the first one. One input is enough for those, as it takes every layer through
 * every position; each costs a visitor a pass over all activations, millions of them in a network for photos.
 *
 * @throws QdgError `runtime` where a file for another device, ONNX Runtime on WebAssembly or the engine computes anything
 * else, and where the network gives the same answer to all inputs, which no test could tell from a broken one;
 * `unsupported-model` for files that quantize other tensors
 */
export async function selfTestOf(
  models: DeployedModels,
  inputSize: readonly [number, number] | undefined,
  progress: Progress = noProgress,
): Promise<SelfTest> {
  const { classifier } = models;
  const [first, ...others] = models.files;
  if (!first) throw new QdgError("internal", "selfTestOf", "got no files, expected at least one");
  const inputs = testInputs(models, first, inputSize);
  const manifest = classifier && manifestClassifier(classifier);
  const feeds: Feeds[] = [];
  for (const each of inputs) {
    feeds.push((await testInput({ ...each, expected: {} }, manifest, first.path)).feeds);
  }
  // All inputs through each file in the reference, and through wasm and the engine, which give out integers for the first.
  const steps = inputs.length * (3 + others.length) + 2;
  let done = 0;
  const run = async (runtime: RuntimeName, bytes: Uint8Array, fed = feeds): Promise<Results[]> => {
    const session = await (await runtimeOf(runtime)).open({ bytes });
    const results = [];
    try {
      for (const each of fed) {
        results.push(await session.run(each));
        progress.report("self-test", ++done, steps);
      }
    } finally {
      await session.dispose();
    }
    return results;
  };
  const inner = innerTensors(first, first);
  const withIntegers = withKnownOutputs(first.bytes, inner);
  const results = await run("reference", withIntegers);
  const names = outputNames(first);
  const expected = results.map((each) => expectedOf(each, names));
  checkAlive(expected, classifier?.output.name ?? null, first);
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
  const compare = async (runtime: RuntimeName, title: string): Promise<void> => {
    const where = `${first.path} in ${title}`;
    // Twice: what gives out every integer may be computed otherwise than what visitors run.
    check(expected, await run(runtime, first.bytes), where);
    const [got = {}] = await run(runtime, withIntegers, feeds.slice(0, 1));
    await checkIntegers(got, known, where, SHOWN_BY_PARITY);
  };
  await compare("wasm", "ONNX Runtime on WebAssembly");
  const refusedByEngine = await refusalOf(() => compare("engine", "the engine"));
  return {
    cases: inputs.map((each, i) => ({ ...each, expected: expected[i] ?? {} })),
    integers,
    refusedByEngine,
  };
}

/** What the engine does not compute, by its own words; null where `work` is done. */
async function refusalOf(work: () => Promise<void>): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (thrown) {
    if (thrown instanceof QdgError && thrown.code === "unsupported-op") return thrown.message;
    throw thrown;
  }
}

/** The classifier as a manifest has it. */
export function manifestClassifier({
  labels,
  inputName,
  input,
  output,
}: ImageClassifier): ManifestClassifier {
  const { preprocessing, ...size } = input;
  return {
    labels,
    preprocessing: preprocessingToJson(preprocessing),
    input: {
      name: inputName,
      height: size.height,
      width: size.width,
      channels: size.channels,
      layout: size.layout,
    },
    output,
  };
}

function testInputs(
  { classifier, metadata }: DeployedModels,
  { bytes, path }: ModelFile,
  inputSize: readonly [number, number] | undefined,
): (SelfTestPicture | SelfTestNumbers)[] {
  if (!classifier) {
    const graph = modelToGraph(decodeModel(bytes, path));
    return SEEDS.map((seed) => ({
      kind: "numbers",
      inputs: seededInputs(graph, metadata, inputSize, seed),
    }));
  }
  const { height, width } = testPictureSize(classifier.input);
  return CELLS.map((cell, i) => {
    const picture = { width, height, seed: i + 1, cell: Math.min(cell, Math.max(width, height)) };
    const sha256 = createHash("sha256").update(noisePicture(picture).data).digest("hex");
    return { kind: "picture", ...picture, sha256 };
  });
}

const SHOWN_BY_PARITY = "qdg parity shows where";

/** The input's size, shrunk to at most 64 pixels per side: enough to tell arithmetic, and made in no time. */
export function testPictureSize({ height, width }: Pick<ImageInput, "height" | "width">): {
  readonly height: number;
  readonly width: number;
} {
  const shrink = Math.min(1, LONGEST_SIDE / Math.max(height, width));
  const shrunk = (side: number): number => Math.max(1, Math.round(side * shrink));
  return { height: shrunk(height), width: shrunk(width) };
}

/** Of an output; more tell nothing that these do not. */
const MOST_VALUES = 1000;

type Expected = SelfTestCase["expected"];
type Results = Readonly<Record<string, Tensor>>;

function outputNames({ bytes, path }: ModelFile): string[] {
  return (decodeModel(bytes, path).graph?.output ?? []).map(({ name = "" }) => name);
}

function expectedOf(results: Results, names: readonly string[]): Expected {
  return Object.fromEntries(
    names.map((name) => {
      const { data } = results[name] as Tensor;
      const length = data.length;
      const every = Math.max(1, Math.ceil(length / MOST_VALUES));
      const all = Array.from(data as ArrayLike<number | bigint>, Number);
      const largest = all.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
      if (!Number.isFinite(largest)) {
        throw new QdgError("runtime", name, "is not finite for a test input; the model cannot be deployed");
      }
      const values = all.filter((_, i) => i % every === 0);
      return [name, { length, every, values, tolerance: TOLERANCE * largest }];
    }),
  );
}

/** @param output the one that has to differ; null: one of all */
function checkAlive(cases: readonly Expected[], output: string | null, file: ModelFile): void {
  const answers = new Set(cases.map((each) => JSON.stringify(output === null ? each : each[output]?.values)));
  if (answers.size > 1) return;
  throw new QdgError(
    "runtime",
    file.path,
    `${output === null ? "every output" : `output ${output}`} is the same for ${cases.length} different inputs, so a self-test would show nothing; qdg parity tells which layer is dead`,
  );
}

function check(cases: readonly Expected[], got: readonly Results[], where: string): void {
  for (const [i, expected] of cases.entries()) {
    for (const [name, { length, every, values, tolerance }] of Object.entries(expected)) {
      const data = got[i]?.[name]?.data;
      const worst = values.reduce((most, value, k) => {
        const number = Number(data?.[k * every]);
        // A NaN is no small difference.
        return Math.max(most, Math.abs(number - value) || (number === value ? 0 : Infinity));
      }, 0);
      if (data?.length === length && worst <= tolerance) continue;
      throw new QdgError(
        "runtime",
        where,
        `output ${name} differs from the reference by ${worst} on test input ${i + 1}, expected up to ${tolerance}; ${SHOWN_BY_PARITY}`,
      );
    }
  }
}
