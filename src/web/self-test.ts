// Runs the manifest's pictures on the visitor's own device and compares with what the model is known to
// answer: drivers of GPUs have bugs, and a wrong answer looks like any other.

import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import { imageToTensor } from "../image/to-tensor.js";
import type { Session } from "../runtime/runtime.js";
import { sha256Of } from "./fetch-file.js";
import type { IntegerCount } from "./known-integers.js";
import { bytesOfBase64, checkIntegers, withKnownOutputs } from "./known-integers.js";
import { readOnnxFacts } from "./onnx-facts.js";
import type { ExpectedOutput, Manifest, ManifestModel, SelfTestCase, WebDevice } from "./manifest.js";

/** A self-test that was passed; a failed one is an error, or a fallback that says why. */
export interface SelfTestResult extends OutputComparison, IntegerCount {
  readonly device: WebDevice;
  readonly latencyMs: number;
}

interface OutputComparison {
  readonly cases: number;
  /** Numbers of outputs compared. */
  readonly values: number;
  /** Largest |got - expected| of them. */
  readonly largestDifference: number;
}

type Feeds = Readonly<Record<string, Tensor>>;

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
  { device, integers: known }: ManifestModel,
  where: string,
): Promise<{ readonly session: Session; readonly selfTest: SelfTestResult }> {
  const feeds = await selfTestFeeds(manifest, where);
  const started = performance.now();
  const openDeployed = async (integers: IntegerCount): ReturnType<typeof openTested> => {
    const session = await open(bytes);
    return orDispose(session, async () => {
      const outputs = await compareOutputs(session, manifest, feeds, device, where);
      const latencyMs = performance.now() - started;
      return { session, selfTest: { device, ...outputs, ...integers, latencyMs } };
    });
  };
  if (known.tensors.length === 0) {
    refuseQuantized(bytes, where);
    return openDeployed({ tensors: 0, integers: 0 });
  }
  const inner = await open(withKnownOutputs(bytes, known));
  let integers: IntegerCount;
  try {
    integers = await checkIntegers(await inner.run(feeds[0] ?? {}), known, where, meaningOf(device));
    // Sessions that are open share their compiled shaders: the second one need not compile them again.
    if (device === "webgpu") return await openDeployed(integers);
  } finally {
    await inner.dispose();
  }
  // The memory of WebAssembly never shrinks, so it must not hold both.
  return openDeployed(integers);
}

/** Outputs alone would not show an integer that is off by one step, so only a file without integers may do with them. */
function refuseQuantized(bytes: Uint8Array, where: string): void {
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

/** The pictures of the self-test as a model takes them. */
async function selfTestFeeds(manifest: Manifest, where: string): Promise<Feeds[]> {
  const input = { ...manifest.input, preprocessing: manifest.preprocessing };
  const feeds: Feeds[] = [];
  for (const [i, item] of manifest.selfTest.cases.entries()) {
    const data = await pixelsOf(item, `${where}: self-test ${i}`);
    const image = { width: item.width, height: item.height, channels: 3, data };
    feeds.push({ [manifest.input.name]: imageToTensor(image, input) });
  }
  return feeds;
}

async function compareOutputs(
  session: Session,
  manifest: Manifest,
  feeds: readonly Feeds[],
  device: WebDevice,
  where: string,
): Promise<OutputComparison> {
  let values = 0;
  let largestDifference = 0;
  for (const [i, { expected }] of manifest.selfTest.cases.entries()) {
    const outputs = await session.run(feeds[i] ?? {});
    for (const [name, numbers] of Object.entries(expected)) {
      const data = Object.hasOwn(outputs, name) ? outputs[name]?.data : undefined;
      const got = Array.from((data ?? []) as ArrayLike<unknown>, Number);
      const at = `${where}: self-test ${i}, output "${name}"`;
      largestDifference = Math.max(largestDifference, largest(got, numbers, device, at));
      values += got.length;
    }
  }
  return { cases: manifest.selfTest.cases.length, values, largestDifference };
}

/** What a difference means, for messages. */
function meaningOf(device: WebDevice): string {
  return `${device} of this machine does not compute what the model was checked to compute`;
}

async function pixelsOf(item: SelfTestCase, where: string): Promise<Uint8Array<ArrayBuffer>> {
  const pixels = bytesOfBase64(item.pixels);
  const hash = await sha256Of(pixels);
  if (hash !== item.sha256) {
    throw new QdgError("invalid-data", where, `pixels: got SHA-256 ${hash}, expected ${item.sha256}`);
  }
  return pixels;
}

function largest(
  got: readonly number[],
  { values, tolerance }: ExpectedOutput,
  device: WebDevice,
  where: string,
): number {
  const fail = (what: string): never => {
    throw new QdgError("runtime", where, `${what}; ${meaningOf(device)}`);
  };
  if (got.length !== values.length) fail(`got ${got.length} numbers, expected ${values.length}`);
  let most = 0;
  values.forEach((expected, i) => {
    const difference = Math.abs((got[i] as number) - expected);
    // Written so that NaN fails.
    if (!(difference <= tolerance)) {
      fail(`element ${i}: got ${got[i]}, expected ${expected} within ${tolerance}`);
    }
    most = Math.max(most, difference);
  });
  return most;
}
