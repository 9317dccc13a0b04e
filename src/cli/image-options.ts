// The options of every command that feeds images to an exported file: what stands in for what the file does not say.

import type { Command } from "commander";
import { names, size } from "./option-parsers.js";

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
