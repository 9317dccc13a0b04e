// A classifier from an ONNX file that comes without a manifest: from what the file says about itself, then
// from what the caller says. What neither says is an error of classify, never a guess.

import { QdgError } from "../base/error.js";
import type { Preprocessing } from "../image/preprocessing.js";
import { checkChannels } from "../image/preprocessing.js";
import type { Layout } from "../image/to-tensor.js";
import { type ClassifierOutput, classifierOutput } from "../model/classifier-output.js";
import type { Session } from "../runtime/runtime.js";
import type { Classifier } from "./model.js";
import { checkClassifier, severalInputs } from "./model.js";
import type { OnnxFacts } from "./onnx-facts.js";

/** What a bare ONNX file may not say about itself. What is given here goes before the file's own words. */
export interface OnnxOptions {
  readonly preprocessing?: Preprocessing;
  readonly labels?: readonly string[];
  readonly layout?: Layout;
  readonly output?: ClassifierOutput;
  /** Of the file; checked when given. */
  readonly sha256?: string;
}

export interface BareClassifier {
  readonly labels: readonly string[];
  readonly classifier: Classifier | QdgError;
}

/** What a session and a file say, and what the caller says. */
export function bareClassifier(
  session: Session,
  facts: OnnxFacts,
  options: OnnxOptions,
  where: string,
): BareClassifier {
  const labels = options.labels ?? facts.metadata.labels ?? [];
  try {
    return { labels, classifier: classifierOf(session, facts, options, labels, where) };
  } catch (thrown) {
    if (thrown instanceof QdgError) return { labels, classifier: thrown };
    throw thrown;
  }
}

function classifierOf(
  session: Session,
  facts: OnnxFacts,
  options: OnnxOptions,
  labels: readonly string[],
  where: string,
): Classifier {
  const [input, ...more] = session.inputs;
  if (input === undefined || more.length > 0) throw severalInputs(session, where);
  const { metadata } = facts;
  const layout = options.layout ?? metadata.layout ?? unknown(where, "layout");
  const preprocessing = options.preprocessing ?? metadata.preprocessing ?? unknown(where, "preprocessing");
  if (labels.length === 0) return unknown(where, "labels");
  const [height, width, channels] = layout === "nhwc" ? input.shape.slice(1) : channelsLast(input.shape);
  if (typeof height !== "number" || typeof width !== "number" || (channels !== 1 && channels !== 3)) {
    throw new QdgError(
      "usage",
      where,
      `input "${input.name}": got [${input.shape.map((dim) => dim || "?").join(", ")}], expected an image of fixed size with 1 or 3 channels; feed run(), or export with --input-size`,
    );
  }
  checkChannels(preprocessing, channels, `${where}: preprocessing`);
  const output = options.output ?? outputOf(session, facts, labels.length, where);
  const classifier: Classifier = {
    inputName: input.name,
    input: { preprocessing, height, width, channels, layout },
    output,
  };
  checkClassifier(session, classifier, where);
  return classifier;
}

function channelsLast([, c, h, w]: readonly (number | string)[]): (number | string | undefined)[] {
  return [h, w, c];
}

function outputOf({ outputs }: Session, facts: OnnxFacts, classes: number, where: string): ClassifierOutput {
  return classifierOutput({
    outputs: outputs.map(({ name, shape }) => ({ ...facts.outputs.get(name), name, shape })),
    metadata: facts.metadata,
    classes,
    kind: undefined,
    where,
    option: "load()'s `onnx: { output: { name, kind } }`",
  });
}

function unknown(where: string, what: keyof OnnxOptions): never {
  throw new QdgError(
    "usage",
    where,
    `the file does not say its ${what}; give load() \`onnx: { ${what} }\`, or deploy the model with a manifest`,
  );
}
