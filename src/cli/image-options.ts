// The options of every command that feeds images to an exported file: what stands in for what the file does not say.

import type { Command } from "commander";
import type { Layout } from "../image/to-tensor.js";
import { CLASSIFIER_KINDS, type ClassifierKind } from "../model/classifier-output.js";
import { LAYOUTS } from "../model/onnx-metadata.js";
import { names, oneOf, size } from "./option-parsers.js";

export interface ImageFlags {
  readonly preprocess?: string;
  readonly inputSize?: readonly [number, number];
  readonly labels?: readonly string[];
}

export function addImageOptions(command: Command): Command {
  return command
    .option(
      "--preprocess <range>",
      'how pixels become the input, instead of what the file says: "lo,hi" or JSON',
    )
    .option(
      "--input-size <size>",
      "image size for a file that leaves it open: 224 or 192x256",
      size("--input-size"),
    )
    .option("--labels <list>", "names of the classes in order, separated by commas", names);
}

export interface LayoutFlag {
  readonly layout?: Layout;
}

/** For commands that take files of other tools too, which do not say it. */
export function addLayoutOption(command: Command): Command {
  return command.option(
    "--layout <nhwc|nchw>",
    "order of the axes of an image, instead of what the file says",
    oneOf("--layout", LAYOUTS),
  );
}

export interface OutputKindFlag {
  readonly outputKind?: ClassifierKind;
}

export function addOutputKindOption(command: Command): Command {
  return command.option(
    "--output-kind <kind>",
    `what the numbers of the output are, instead of what the file says: ${CLASSIFIER_KINDS.join(", ")}`,
    oneOf("--output-kind", CLASSIFIER_KINDS),
  );
}
