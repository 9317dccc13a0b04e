// Arrays of .npy files as the inputs of a network: one file an input, samples along the first axis. Checked
// against the inputs before anything runs.

import { QdgError } from "../base/error.js";
import { readBytes } from "../base/read-bytes.js";
import { allocate, sizeOf, type Tensor } from "../base/tensor.js";
import { decodeNpy } from "../image/npy.js";
import type { TensorInfo } from "../runtime/runtime.js";

/** One tensor an input. */
export type Feeds = Readonly<Record<string, Tensor>>;

export interface Arrays {
  /** Samples, the same number for all inputs; at least one. */
  readonly count: number;
  /** Sample i as a batch of one. */
  sample(i: number): Feeds;
}

/**
 * @param sources `x.npy` for a network with one input, otherwise `name=x.npy` once for each
 * @throws QdgError `usage` for an input without a file or with two, `not-found`, `invalid-data` for shapes,
 * types or numbers that do not fit
 */
export async function openArrays(sources: readonly string[], inputs: readonly TensorInfo[]): Promise<Arrays> {
  const arrays = new Map<string, Tensor>();
  for (const source of sources) {
    const at = source.indexOf("=");
    const name = at < 0 ? inputs[0]?.name : source.slice(0, at);
    const input = inputs.find((candidate) => candidate.name === name);
    if (!input || (at < 0 && inputs.length > 1) || arrays.has(input.name)) {
      const names = inputs.map((each) => each.name).join(", ");
      throw new QdgError("usage", source, `expected name=file.npy, once for each input: ${names}`);
    }
    arrays.set(input.name, await readNpy(source.slice(at + 1), input));
  }
  const missing = inputs.find((input) => !arrays.has(input.name));
  if (missing) {
    throw new QdgError("usage", missing.name, `no array for this input; add ${missing.name}=file.npy`);
  }
  const counts = new Set([...arrays.values()].map((array) => array.shape[0] as number));
  const [count = 0] = counts;
  if (counts.size !== 1 || count === 0) {
    throw new QdgError(
      "invalid-data",
      sources.join(", "),
      `got ${[...counts].join(" and ")} samples, expected the same number for all inputs, at least one`,
    );
  }
  return {
    count,
    sample: (i) => Object.fromEntries([...arrays].map(([name, array]) => [name, row(array, i)])),
  };
}

function row(array: Tensor, i: number): Tensor {
  const shape = [1, ...array.shape.slice(1)];
  const size = sizeOf(shape);
  const data = allocate(array.dtype, size);
  data.set(array.data.subarray(i * size, (i + 1) * size) as never);
  return { dtype: array.dtype, shape, data };
}

async function readNpy(path: string, input: TensorInfo): Promise<Tensor> {
  const array = decodeNpy(await readBytes(path), path);
  const fits =
    array.shape.length === input.shape.length &&
    array.shape.every(
      (dim, axis) => axis === 0 || typeof input.shape[axis] === "string" || input.shape[axis] === dim,
    );
  if (!fits) {
    throw new QdgError(
      "invalid-data",
      path,
      `got shape [${array.shape.join(", ")}], expected [${input.shape.join(", ")}] as the input ${input.name}, samples along axis 0`,
    );
  }
  if (array.dtype === "float32") checkFinite(array.data as Float32Array, path);
  if (array.dtype === input.dtype) return array;
  if (input.dtype === "float32" && array.dtype === "float64") {
    const data = Float32Array.from(array.data as Float64Array);
    checkFinite(data, path);
    return { dtype: "float32", shape: array.shape, data };
  }
  throw new QdgError(
    "invalid-data",
    path,
    `got ${array.dtype}, expected ${input.dtype} as the input ${input.name}; save it with astype`,
  );
}

function checkFinite(data: Float32Array, path: string): void {
  const bad = data.findIndex((x) => !Number.isFinite(x));
  if (bad < 0) return;
  throw new QdgError("invalid-data", path, `element ${bad} is ${data[bad]}, expected finite numbers`);
}
