// Runs the manifest's pictures on the visitor's own device and compares with what the model is known to
// answer: drivers of GPUs have bugs, and a wrong answer looks like any other.

import { QdgError } from "../base/error.js";
import { imageToTensor } from "../image/to-tensor.js";
import type { Session } from "../runtime/runtime.js";
import { sha256Of } from "./fetch-file.js";
import type { ExpectedOutput, Manifest, SelfTestCase, WebDevice } from "./manifest.js";

/** A self-test that was passed; a failed one is an error, or a fallback that says why. */
export interface SelfTestResult {
  readonly device: WebDevice;
  readonly cases: number;
  /** Numbers compared. */
  readonly values: number;
  /** Largest |got - expected| of them. */
  readonly largestDifference: number;
  readonly latencyMs: number;
}

/**
 * @throws QdgError `invalid-data` for pixels that do not have their hash, `runtime` for an answer that
 * differs or a run that fails
 */
export async function runSelfTest(
  session: Session,
  manifest: Manifest,
  device: WebDevice,
  where: string,
): Promise<SelfTestResult> {
  const started = performance.now();
  let values = 0;
  let largestDifference = 0;
  for (const [i, item] of manifest.selfTest.cases.entries()) {
    const at = `${where}: self-test ${i}`;
    const data = await pixelsOf(item, at);
    const image = { width: item.width, height: item.height, channels: 3, data };
    const input = { ...manifest.input, preprocessing: manifest.preprocessing };
    const outputs = await session.run({ [manifest.input.name]: imageToTensor(image, input) });
    for (const [name, expected] of Object.entries(item.expected)) {
      const got = Object.hasOwn(outputs, name) ? outputs[name]?.data : undefined;
      const numbers = Array.from((got ?? []) as ArrayLike<unknown>, Number);
      const difference = largest(numbers, expected, device, `${at}, output "${name}"`);
      largestDifference = Math.max(largestDifference, difference);
      values += numbers.length;
    }
  }
  const latencyMs = performance.now() - started;
  return { device, cases: manifest.selfTest.cases.length, values, largestDifference, latencyMs };
}

async function pixelsOf(item: SelfTestCase, where: string): Promise<Uint8Array<ArrayBuffer>> {
  const pixels = Uint8Array.from(atob(item.pixels), (character) => character.charCodeAt(0));
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
    throw new QdgError(
      "runtime",
      where,
      `${what}; ${device} of this machine does not compute what the model was checked to compute`,
    );
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
