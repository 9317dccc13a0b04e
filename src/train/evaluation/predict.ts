// Runs a classifier on one target over images in memory, in batches where its batch axis is open, and gives back
// the probabilities of all classes.

import { QdgError } from "../../base/error.js";
import type { Tensor } from "../../base/tensor.js";
import { batchShape, type ImageInput, writeImage } from "../../image/to-tensor.js";
import { requireAvailable, runtimeOf } from "../../runtime/registry.js";
import type { BrowserOptions, RuntimeName, Session } from "../../runtime/runtime.js";
import { largest, probabilitiesOf } from "../../model/classification.js";
import type { Domain } from "../data/dataset.js";
import type { Classifier } from "./classifier.js";

/** Images a batch where the file lets them be any number. */
const BATCH = 32;

/** Some images of a domain. */
export interface ChosenImages {
  readonly domain: Domain;
  readonly indices: Uint32Array;
}

export interface Predictions {
  /** The runtime's words on itself. */
  readonly version: string;
  /** [N, classes], rows sum to 1, columns by the classes of the data. */
  readonly probabilities: Float64Array;
  /** [N]: the most probable class, by the outputs as they come; the first of equal ones. */
  readonly classes: Uint16Array;
}

/**
 * @param columns output k -> class of the data
 * @throws QdgError `unavailable`, `runtime`; `runtime` for outputs of another shape, or that are not finite, naming
 * the image
 */
export async function predict(
  classifier: Classifier,
  target: RuntimeName,
  images: readonly ChosenImages[],
  columns: readonly number[],
  report: (done: number) => void,
  options: BrowserOptions = {},
): Promise<Predictions> {
  const runtime = await runtimeOf(target);
  const version = await requireAvailable(runtime, options);
  const total = images.reduce((sum, { indices }) => sum + indices.length, 0);
  const K = columns.length;
  const { name, kind } = classifier.output;
  const probabilities = new Float64Array(total * K);
  const classes = new Uint16Array(total);
  const session = await runtime.open({ path: classifier.pathFor(target) }, options);
  try {
    const batchSize = batchSizeOf(session);
    let done = 0;
    for (const { domain, indices } of images) {
      for (let start = 0; start < indices.length; start += batchSize) {
        const chosen = indices.subarray(start, start + batchSize);
        const output = await runBatch(session, classifier.input, domain, chosen, batchSize, name);
        const where = `${classifier.path} on ${target}`;
        const values = outputValues(output, batchSizeOf(session, chosen.length), where);
        const numbers = values.length / batchSizeOf(session, chosen.length);
        chosen.forEach((index, n) => {
          const row = values.subarray(n * numbers, (n + 1) * numbers);
          if (!row.every(Number.isFinite)) {
            throw new QdgError(
              "runtime",
              where,
              `gives numbers that are not finite for ${domain.files[index] ?? ""}`,
            );
          }
          const shares = probabilitiesOf({ data: row }, kind, K, where);
          // By the outputs as they come where there is one a class: a softmax may round two of them to one number.
          classes[done + n] = columns[largest(numbers === K ? row : shares)] as number;
          shares.forEach((share, k) => (probabilities[(done + n) * K + (columns[k] as number)] = share));
        });
        done += chosen.length;
        report(done);
      }
    }
  } finally {
    await session.dispose();
  }
  return { version, probabilities, classes };
}

/** Of the file where it is fixed, otherwise as many as wanted. */
function batchSizeOf(session: Session, wanted: number = BATCH): number {
  const size = session.inputs[0]?.shape[0];
  return typeof size === "number" ? size : wanted;
}

/** A batch of a fixed size is filled up with zeros; what comes of them is not looked at. */
async function runBatch(
  session: Session,
  input: ImageInput,
  domain: Domain,
  indices: Uint32Array,
  batchSize: number,
  output: string,
): Promise<Tensor | undefined> {
  const N = batchSizeOf(session, Math.min(batchSize, indices.length));
  const data = new Float32Array(N * input.height * input.width * input.channels);
  indices.forEach((index, slot) => {
    const image = { width: input.width, height: input.height, channels: 3, data: domain.image(index) };
    writeImage(image, input, data, slot);
  });
  const name = session.inputs[0]?.name ?? "";
  const results = await session.run({ [name]: { dtype: "float32", shape: batchShape(input, N), data } });
  const [first, ...others] = session.outputs;
  // tfjs has names of its own.
  return results[output] ?? (first && others.length === 0 ? results[first.name] : undefined);
}

/** Numbers of one sample after the other. */
function outputValues(output: Tensor | undefined, N: number, where: string): Float32Array {
  if (output?.dtype === "float32" && output.shape[0] === N) return output.data as Float32Array;
  const got = output ? `${output.dtype} [${output.shape.join(", ")}]` : "nothing";
  throw new QdgError(
    "runtime",
    where,
    `got an output of ${got}, expected float32 [${N}, numbers of a sample]`,
  );
}
