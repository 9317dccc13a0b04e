// The one front door: what a file is, is asked here and nowhere behind it. A model is a Graph with facts, whatever file it
// came from. Owns the list of readers; reads nothing itself.

import type { Graph } from "../graph/graph.js";
import type { Layout } from "../image/to-tensor.js";
import type { OnnxMetadata } from "../model/onnx-metadata.js";
import type { LearnedQuantizers } from "../quant/learned.js";
import { type ModelPath, modelPath } from "../read/model-path.js";
import { openModelJson } from "./model-json.js";
import { openOnnx } from "./onnx.js";

/** A network in real numbers, and what its file says of it. Nothing in it tells which reader it was. */
export interface Model {
  /** Of the file, where its folder was given too. */
  readonly path: string;
  /** Verified; no pass of an export has run. */
  readonly graph: Graph;
  readonly facts: ModelFacts;
  /** Scales that training has found; null where there are none. Of a network for several bits those of `bits`, or all of them. */
  readonly learned: LearnedQuantizers | null;
  /** SHA-256 over the file and those that its weights are in, in hexadecimal. */
  readonly sourceHash: string;
  /** What is odd about the files although they can be read. */
  readonly warnings: readonly string[];
}

/** How the axes of images are ordered in the graph, how images become its input, what its classes are called. */
export type ModelFacts = Pick<OnnxMetadata, "layout" | "preprocessing" | "labels">;

export interface OpenOptions {
  /**
   * The order of axes that inputs and outputs of the graph are to have. A tfjs model has "nhwc" when absent; of a file whose
   * order stands, it says what the file does not.
   */
  readonly layout?: Layout;
  /** Of a network that was trained for several: which scales and statistics it is to have. Of any other it says nothing. */
  readonly bits?: number;
}

/** @param path of a file that exists; what is given is checked before anything is allocated */
export type OpenFile = (path: string, options: OpenOptions) => Promise<Model>;

const READERS: { readonly [Kind in ModelPath["kind"]]: OpenFile } = {
  "model-json": openModelJson,
  onnx: openOnnx,
};

/**
 * Opens a tfjs layers-model or graph-model (model.json, or its folder) or an ONNX file, by content, not by name.
 *
 * @throws QdgError `not-found`; `unsupported-model` for a file of another kind, with what it is and what makes a readable
 * file of it; what the readers throw
 */
export async function openModel(given: string, options: OpenOptions = {}): Promise<Model> {
  const { kind, path } = await modelPath(given);
  return READERS[kind](path, options);
}
