// Which output of a network names classes, and what its numbers are: by what the caller says, else by what the file says,
// else by its operators. Where none of them tells it asks.

import { QdgError } from "../base/error.js";
import type { OnnxMetadata } from "./onnx-metadata.js";
import { type NetworkValue, numbersOfSample, type OutputKind, outputKindOf } from "./output-kind.js";

/** Kinds that probabilities come of. */
export type ClassifierKind = Exclude<OutputKind, "values">;
export const CLASSIFIER_KINDS: readonly ClassifierKind[] = ["softmax", "sigmoid", "logits"];

/** How commands are told the kind. */
export const OUTPUT_KIND_OPTION = "--output-kind softmax, sigmoid or logits";

/** The output that holds a number for each class, or one sigmoid for the second of two. */
export interface ClassifierOutput {
  readonly name: string;
  readonly kind: ClassifierKind;
}

export interface NamedOutput extends NetworkValue {
  readonly name: string;
}

export interface ClassifierQuestion {
  readonly outputs: readonly NamedOutput[];
  /** Of the file; null for a network that was not read from one. */
  readonly metadata: Pick<OnnxMetadata, "outputs"> | null;
  /** How many classes there are; null: not known, then there may be one output only. */
  readonly classes: number | null;
  /** What the caller says of the output. */
  readonly kind: ClassifierKind | undefined;
  /** The file, for messages. */
  readonly where: string;
  /** How a caller says the kind, for messages; {@link OUTPUT_KIND_OPTION} for commands. */
  readonly option: string;
}

/** @throws QdgError `usage` where no output or more than one fits, or where nobody says what its numbers are */
export function classifierOutput(question: ClassifierQuestion): ClassifierOutput {
  const { outputs, metadata, classes, where, option } = question;
  const kindOf = (output: NamedOutput): OutputKind =>
    question.kind ?? metadata?.outputs?.get(output.name) ?? outputKindOf(output);
  const fitting = outputs.filter((output) => {
    const numbers = numbersOfSample(output.shape);
    // What is open is seen when the network runs.
    if (numbers === null || classes === null) return outputs.length === 1;
    return numbers === classes || isBinary(numbers, classes, kindOf(output));
  });
  const [output, ...more] = fitting;
  if (!output || more.length > 0) {
    const shapes = outputs.map(({ name, shape }) => `${name} [${shape.join(", ")}]`).join(", ");
    const wanted =
      classes === null
        ? "one output"
        : `one output with a number for each of ${classes} labels${classes === 2 ? ", or one sigmoid" : ""}`;
    throw new QdgError(
      "usage",
      where,
      `got outputs ${shapes || "none"}, expected ${wanted}; give the names of its classes as --labels`,
    );
  }
  const kind = kindOf(output);
  if (kind !== "values") return { name: output.name, kind };
  const made = output.producer ? `made by ${output.producer.op}` : "that no operator makes";
  throw new QdgError(
    "usage",
    where,
    `output ${output.name}, ${made}, is neither probabilities nor logits as far as the file says; say what its numbers are with ${option}`,
  );
}

/** One sigmoid says how probable the second of two classes is. */
export function isBinary(numbers: number, classes: number, kind: OutputKind): boolean {
  return kind === "sigmoid" && numbers === 1 && classes === 2;
}
