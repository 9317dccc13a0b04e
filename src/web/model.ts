// A model on a device of the visitor: run on tensors, classify on pictures. It never changes its device;
// where it runs was settled when it was loaded.

import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import type { Image } from "../image/image.js";
import type { ImageInput } from "../image/to-tensor.js";
import { batchShape, fitImage, imageToTensor } from "../image/to-tensor.js";
import type { Session, TensorInfo } from "../runtime/runtime.js";
import type { Classification } from "../model/classification.js";
import { classificationOf, probabilitiesOf } from "../model/classification.js";
import type { ClassifierOutput } from "../model/classifier-output.js";
import { callsOf } from "./calls.js";
import type { ImageLike } from "./decode-image.js";
import { decodeBrowserImage } from "./decode-image.js";
import type { Fallback } from "./device.js";
import type { ManifestClassifier } from "./manifest.js";
import type { WebRuntimeName } from "./runtimes/web-runtime.js";
import type { SelfTestResult } from "./self-test.js";

export interface Model extends WebRuntimeName {
  /** Of the ONNX file in use. */
  readonly url: string;
  /** The GPU as the browser describes it; null on wasm. */
  readonly adapter: string | null;
  /** On wasm; 1 on webgpu. */
  readonly threads: number;
  /** Empty when nobody said what the classes are called. */
  readonly labels: readonly string[];
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Runtimes that were tried or considered before this one, with reasons. */
  readonly fallbacks: readonly Fallback[];
  /** null for a bare ONNX file and for one in float32, which bring no test. */
  readonly selfTest: SelfTestResult | null;
  /**
   * One tensor per input, by name; one per output comes back. Calls may overlap: they run in their order.
   *
   * @throws QdgError `runtime`, after dispose too
   */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>>;
  /**
   * What is in the picture: decoded by the browser, resized and preprocessed by the code that trained the
   * model.
   *
   * @throws QdgError `invalid-data` for what is no image, `usage` for a model that is no classifier of
   * images (several inputs, preprocessing unknown), `runtime` for a failed run and after dispose
   */
  classify(image: ImageLike): Promise<Classification>;
  /** Frees the device's memory, after the calls that were made before. A second call does nothing. */
  dispose(): Promise<void>;
}

/** How images become the input and the output becomes probabilities. */
export interface Classifier {
  readonly inputName: string;
  readonly input: ImageInput;
  readonly output: ClassifierOutput;
}

export function classifierOf({ input, preprocessing, output }: ManifestClassifier): Classifier {
  const { name, ...size } = input;
  return { inputName: name, input: { ...size, preprocessing }, output };
}

type Facts = Pick<
  Model,
  "url" | "engine" | "device" | "adapter" | "threads" | "labels" | "fallbacks" | "selfTest"
>;

/** @param classifier an error is what `classify` throws */
export function modelOf(session: Session, facts: Facts, classifier: Classifier | QdgError): Model {
  const { url, labels } = facts;
  const calls = callsOf(url);
  const runImage = classifier instanceof QdgError ? null : imageRunOf(session, classifier);
  // Until it is read, it holds the functions that were under way, and with them the bytes of the file.
  if (classifier instanceof QdgError) void classifier.stack;
  return {
    ...facts,
    inputs: session.inputs,
    outputs: session.outputs,
    run: (feeds) => calls.begin(() => session.run(feeds)),
    classify: (source) =>
      calls.begin(async () => {
        if (classifier instanceof QdgError || !runImage) throw classifier as QdgError;
        const { output } = classifier;
        const image = await decodeBrowserImage(source);
        const started = performance.now();
        const outputs = await runImage(image);
        const probabilities = probabilitiesOf(outputs[output.name], output.kind, labels.length, url);
        return classificationOf(probabilities, labels, performance.now() - started);
      }),
    dispose: () => calls.end(() => session.dispose()),
  };
}

/** A run on images of any size: on their pixels where the session can, else on the tensor that they become. */
export function imageRunOf(
  session: Session,
  { inputName, input }: Pick<Classifier, "inputName" | "input">,
): (image: Image) => Promise<Record<string, Tensor>> {
  const run = session.imageRun?.(input) ?? null;
  return run
    ? (image) => run(fitImage(image, input))
    : (image) => session.run({ [inputName]: imageToTensor(image, input) });
}

/**
 * That a session takes one image as `classifier` makes it: a single float32 input of that name and shape.
 *
 * @throws QdgError `usage` for several inputs, `invalid-data` for another name, type or shape
 */
export function checkClassifier(
  session: Session,
  { inputName, input, output }: Classifier,
  where: string,
): void {
  const [first, ...more] = session.inputs;
  if (first === undefined || more.length > 0) throw severalInputs(session, where);
  const shape = batchShape(input, 1);
  const fits =
    first.name === inputName &&
    first.dtype === "float32" &&
    first.shape.length === shape.length &&
    first.shape.every((dim, axis) => typeof dim === "string" || dim === shape[axis]);
  if (!fits) {
    const got = `"${first.name}" ${first.dtype} [${first.shape.map((dim) => dim || "?").join(", ")}]`;
    throw new QdgError(
      "invalid-data",
      where,
      `input: got ${got}, expected "${inputName}" float32 [${shape.join(", ")}]`,
    );
  }
  if (!session.outputs.some(({ name }) => name === output.name)) {
    const names = session.outputs.map(({ name }) => `"${name}"`).join(", ");
    throw new QdgError("invalid-data", where, `got outputs ${names}, expected "${output.name}" among them`);
  }
}

export function severalInputs(session: Session, where: string): QdgError {
  return new QdgError(
    "usage",
    where,
    `got a model with ${session.inputs.length} inputs, expected one; feed them all to run()`,
  );
}
