// Compares every integer inside a network with the ones that it is known to have, by their hashes: a driver that is
// off by one step somewhere may still give the right class. Keeps no session.

import { QdgError } from "../base/error.js";
import { toLittleEndian } from "../base/little-endian.js";
import type { Tensor } from "../base/tensor.js";
import { sha256Of } from "./fetch-file.js";
import type { KnownIntegers } from "./manifest.js";

/** What was compared, and found equal. */
export interface IntegerCount {
  readonly tensors: number;
  readonly integers: number;
}

/**
 * @param results of the model that gives out the known tensors
 * @param meaning what it means when a tensor differs, for the message
 * @throws QdgError `runtime` where tensors differ, naming the first one
 */
export async function checkIntegers(
  results: Readonly<Record<string, Tensor>>,
  { tensors }: KnownIntegers,
  where: string,
  meaning: string,
): Promise<IntegerCount> {
  const found = tensors.map(({ name }) => (Object.hasOwn(results, name) ? results[name] : undefined));
  // All at once: a browser hashes in threads of its own.
  const hashes = await Promise.all(found.map((tensor) => hashOfIntegers(tensor)));
  const differing = tensors.filter(({ sha256 }, i) => hashes[i] !== sha256);
  const integers = found.reduce((sum, tensor) => sum + (tensor?.data.length ?? 0), 0);
  const [first] = differing;
  if (first === undefined) return { tensors: tensors.length, integers };
  throw new QdgError(
    "runtime",
    `${where}: self-test`,
    `integers of ${differing.length} of ${tensors.length} tensors differ, the first is "${first.name}"; ${meaning}`,
  );
}

/** The bytes of the model that gives out the known tensors too. */
export function withKnownOutputs(
  model: Uint8Array,
  { outputs }: Pick<KnownIntegers, "outputs">,
): Uint8Array<ArrayBuffer> {
  const more = bytesOfBase64(outputs);
  const bytes = new Uint8Array(model.length + more.length);
  bytes.set(model);
  bytes.set(more, model.length);
  return bytes;
}

/**
 * SHA-256 of `q[i] + offset` as int16, little-endian; null when an element is no such integer, as 1.5 and NaN, or
 * there is no tensor of numbers.
 */
export async function hashOfIntegers(tensor: Tensor | undefined, offset = 0): Promise<string | null> {
  if (tensor?.dtype !== "uint8" && tensor?.dtype !== "int8" && tensor?.dtype !== "float32") return null;
  const numbers = tensor.data as Uint8Array | Int8Array | Float32Array;
  const integers = new Int16Array(numbers.length);
  for (let i = 0; i < numbers.length; i++) {
    const q = (numbers[i] as number) + offset;
    integers[i] = q;
    if (integers[i] !== q) return null;
  }
  return sha256Of(toLittleEndian(integers, 2));
}

function bytesOfBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
