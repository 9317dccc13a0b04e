// Runs the manifest's pictures on the visitor's own device and compares with what the model is known to
// answer: drivers of GPUs have bugs, and a wrong answer looks like any other.

import { QdgError } from "../base/error.js";
import type { Session } from "../runtime/runtime.js";
import type { IntegerCount } from "./known-integers.js";
import { checkIntegers, withKnownOutputs } from "./known-integers.js";
import type { Manifest, ManifestModel } from "./manifest.js";
import { nameOfRuntime, type WebRuntimeName } from "./runtimes/web-runtime.js";
import { classifierOf, imageRunOf } from "./model.js";
import { type ExpectedOutput, type TestInput, testInput } from "./self-test-case.js";

/** A self-test that was passed; a failed one is an error, or a fallback that says why. */
export interface SelfTestResult extends OutputComparison, IntegerCount, WebRuntimeName {
  readonly latencyMs: number;
}

interface OutputComparison {
  readonly cases: number;
  /** Numbers of outputs compared. */
  readonly values: number;
  /** Largest |got - expected| of them. */
  readonly largestDifference: number;
}

/**
 * The session that visitors use, after the self-test: the integers inside the network for the first picture, in a
 * session that gives them out, and the outputs for all pictures.
 *
 * @param open makes a session of a model's bytes
 * @throws QdgError `invalid-data` for pixels that do not have their hash and for a quantized file without known
 * integers, `runtime` for integers or an answer that
 * differ, or a run that fails; no session is left open then
 */
export async function openTested(
  open: (bytes: Uint8Array) => Promise<Session>,
  bytes: Uint8Array,
  manifest: Manifest,
  { integers: known }: ManifestModel,
  { engine, device }: WebRuntimeName,
  where: string,
): Promise<{ readonly session: Session; readonly selfTest: SelfTestResult }> {
  const name = nameOfRuntime({ engine, device });
  const meaning = `${name} of this machine does not compute what the model was checked to compute`;
  const inputs: TestInput[] = [];
  for (const [i, item] of manifest.selfTest.cases.entries()) {
    inputs.push(await testInput(item, manifest.classifier, `${where}: self-test ${i}`));
  }
  const started = performance.now();
  const openDeployed = async (integers: IntegerCount): ReturnType<typeof openTested> => {
    const session = await open(bytes);
    return orDispose(session, async () => {
      const outputs = await compareOutputs(session, manifest, inputs, meaning, where);
      const latencyMs = performance.now() - started;
      return { session, selfTest: { engine, device, ...outputs, ...integers, latencyMs } };
    });
  };
  if (known.tensors.length === 0) {
    await refuseQuantized(bytes, where);
    return openDeployed({ tensors: 0, integers: 0 });
  }
  const inner = await open(withKnownOutputs(bytes, known));
  let integers: IntegerCount;
  try {
    integers = await checkIntegers(await inner.run(inputs[0]?.feeds ?? {}), known, where, meaning);
    // Sessions that are open share their compiled shaders: the second one need not compile them again.
    if (device === "webgpu") return await openDeployed(integers);
  } finally {
    await inner.dispose();
  }
  // The memory of WebAssembly never shrinks, so it must not hold both.
  return openDeployed(integers);
}

/** Outputs alone would not show an integer that is off by one step, so only a file without integers may do with them. */
async function refuseQuantized(bytes: Uint8Array, where: string): Promise<void> {
  const { readOnnxFacts } = await import("./onnx-facts.js");
  const { scales } = readOnnxFacts(bytes, where).metadata;
  if (scales === null || scales === "weights-only") return;
  throw new QdgError(
    "invalid-data",
    where,
    "got no known integers in the manifest, expected them for a file with quantized activations; deploy the model again",
  );
}

/** What fails after a session is open must not leave it behind. */
export async function orDispose<T>(session: Session, make: () => Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (thrown) {
    await session.dispose();
    throw thrown;
  }
}

async function compareOutputs(
  session: Session,
  manifest: Manifest,
  inputs: readonly TestInput[],
  meaning: string,
  where: string,
): Promise<OutputComparison> {
  let values = 0;
  let largestDifference = 0;
  const runImage = manifest.classifier && imageRunOf(session, classifierOf(manifest.classifier));
  for (const [i, { expected }] of manifest.selfTest.cases.entries()) {
    const { image = null, feeds = {} } = inputs[i] ?? {};
    // As visitors' pictures will be.
    const outputs = image && runImage ? await runImage(image) : await session.run(feeds);
    for (const [name, numbers] of Object.entries(expected)) {
      const data = Object.hasOwn(outputs, name) ? outputs[name]?.data : undefined;
      const got = (data ?? []) as ArrayLike<number | bigint>;
      const at = `${where}: self-test ${i}, output "${name}"`;
      largestDifference = Math.max(largestDifference, largest(got, numbers, meaning, at));
      values += numbers.values.length;
    }
  }
  return { cases: manifest.selfTest.cases.length, values, largestDifference };
}

function largest(
  got: ArrayLike<number | bigint>,
  { length, every, values, tolerance }: ExpectedOutput,
  meaning: string,
  where: string,
): number {
  const fail = (what: string): never => {
    throw new QdgError("runtime", where, `${what}; ${meaning}`);
  };
  if (got.length !== length) fail(`got ${got.length} numbers, expected ${length}`);
  let most = 0;
  values.forEach((expected, i) => {
    const number = Number(got[i * every]);
    const difference = Math.abs(number - expected);
    // Written so that NaN fails.
    if (!(difference <= tolerance)) {
      fail(`element ${i * every}: got ${number}, expected ${expected} within ${tolerance}`);
    }
    most = Math.max(most, difference);
  });
  return most;
}
