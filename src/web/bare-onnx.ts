// A classifier from an ONNX file that comes without a manifest: from what the file says about itself, then
// from what the caller says. What neither says is an error of classify, never a guess.

import { errorText, QdgError } from "../base/error.js";
import type { Preprocessing } from "../image/preprocessing.js";
import { checkChannels, preprocessingFromJson } from "../image/preprocessing.js";
import type { Layout } from "../image/to-tensor.js";
import type { Session } from "../runtime/runtime.js";
import type { ManifestOutput, OutputKind } from "./manifest.js";
import type { Classifier } from "./model.js";
import { checkClassifier, severalInputs } from "./model.js";
import type { OnnxFacts } from "./onnx-facts.js";

/** What a bare ONNX file may not say about itself. What is given here goes before the file's own words. */
export interface OnnxOptions {
  readonly preprocessing?: Preprocessing;
  readonly labels?: readonly string[];
  readonly layout?: Layout;
  readonly output?: ManifestOutput;
  /** Of the file; checked when given. */
  readonly sha256?: string;
}

export interface BareClassifier {
  readonly labels: readonly string[];
  readonly classifier: Classifier | QdgError;
}

/** @throws QdgError `invalid-onnx` for metadata of qdg's that is malformed */
export function bareClassifier(
  session: Session,
  facts: OnnxFacts,
  options: OnnxOptions,
  where: string,
): BareClassifier {
  const labels = options.labels ?? labelsOf(facts, where) ?? [];
  try {
    return { labels, classifier: classifierOf(session, facts, options, labels, where) };
  } catch (thrown) {
    if (thrown instanceof QdgError && thrown.code !== "invalid-onnx") return { labels, classifier: thrown };
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
  const layout = options.layout ?? facts.metadata.get("qdg.layout");
  if (layout !== "nhwc" && layout !== "nchw") return unknown(where, "layout");
  const json = facts.metadata.get("qdg.preprocessing");
  const preprocessing =
    options.preprocessing ??
    (json === undefined
      ? unknown(where, "preprocessing")
      : preprocessingFromJson(parsed(json, where), `${where}: qdg.preprocessing`));
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
  const output = options.output ?? outputOf(session, facts, where);
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

/** Softmax makes probabilities; a sum or a product makes logits; of anything else the caller knows more. */
function outputOf(session: Session, facts: OnnxFacts, where: string): ManifestOutput {
  const [output, ...more] = session.outputs;
  if (output === undefined || more.length > 0) return unknown(where, "output");
  const type = facts.producers.get(output.name) ?? "";
  const kind: OutputKind | null =
    type === "Softmax" ? "probabilities" : LOGIT_MAKERS.has(type) ? "logits" : null;
  return kind === null ? unknown(where, "output") : { name: output.name, kind };
}

const LOGIT_MAKERS: ReadonlySet<string> = new Set(["Add", "Gemm", "MatMul", "Mul", "DequantizeLinear"]);

function unknown(where: string, what: keyof OnnxOptions): never {
  throw new QdgError(
    "usage",
    where,
    `the file does not say its ${what}; give load() \`onnx: { ${what} }\`, or deploy the model with a manifest`,
  );
}

function labelsOf(facts: OnnxFacts, where: string): readonly string[] | undefined {
  const json = facts.metadata.get("qdg.labels");
  if (json === undefined) return undefined;
  const labels = parsed(json, where);
  if (!Array.isArray(labels) || !labels.every((label) => typeof label === "string")) {
    throw new QdgError("invalid-onnx", where, "qdg.labels: expected a list of texts; export the model again");
  }
  return labels;
}

function parsed(json: string, where: string): unknown {
  try {
    return JSON.parse(json);
  } catch (thrown) {
    throw new QdgError("invalid-onnx", where, `metadata: ${errorText(thrown)}; export the model again`, {
      cause: thrown,
    });
  }
}
