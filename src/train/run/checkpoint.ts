// What a checkpoint of a run holds, and its way into a checkpoint file and out of it. Whether it belongs to the data
// and the model at hand is for run-facts.ts and resumedOptions to say.

import { QdgError } from "../../base/error.js";
import { sizeOf, type Tensor } from "../../base/tensor.js";
import type { MethodState } from "../methods/method.js";
import type { OscillationState } from "../oscillation.js";
import { countOf, listOf, numberOf, numberOrNull, objectOf, textOf } from "../report/fields.js";
import type { TrainableModel } from "../trainable-model.js";
import {
  type CheckpointArray,
  type CheckpointContent,
  loadCheckpoint,
  saveCheckpoint,
  type WriteFile,
} from "./checkpoint-file.js";
import type { Evaluation } from "./evaluate-domains.js";
import type { LossSum } from "./loss-sum.js";
import type { DatasetFacts, ModelFacts } from "./run-facts.js";
import { LINE_FILES, type LineSizes } from "./run-folder.js";

/** The model that is kept, so far: what training has changed of that of the run. */
export interface SelectedModel {
  readonly evaluation: Evaluation;
  readonly model: Pick<TrainableModel, "weights" | "userDefinedMetadata">;
}

/** Where the trainer stands. */
export interface RunProgress {
  /** Steps finished. */
  readonly step: number;
  /** Whether quantizers have begun. */
  readonly quantized: boolean;
  readonly sinceLog: LossSum;
  readonly sinceEvaluation: LossSum;
  /** Share of the scales that the last window has frozen; null before it, and for methods that freeze none. */
  readonly frozen: number | null;
  readonly best: SelectedModel | null;
  /** The last evaluation. */
  readonly last: Evaluation | null;
}

export interface RunCheckpoint {
  readonly created: string;
  /** JSON, unchecked: see resumedOptions. */
  readonly options: unknown;
  readonly backend: string;
  readonly dataset: DatasetFacts;
  readonly model: ModelFacts;
  readonly progress: RunProgress;
  readonly lines: LineSizes;
  readonly network: MethodState;
  readonly method: MethodState;
  readonly oscillation: OscillationState;
  /** null where nothing is averaged. */
  readonly averaging: MethodState | null;
}

/**
 * @param write for tests
 * @throws QdgError `io`; the checkpoint that was there stays
 */
export async function saveRunCheckpoint(path: string, run: RunCheckpoint, write?: WriteFile): Promise<void> {
  await saveCheckpoint(path, toContent(run), write);
}

/** @throws QdgError as loadCheckpoint; `invalid-data` for one whose content is not that of a run */
export async function loadRunCheckpoint(path: string): Promise<RunCheckpoint> {
  return fromContent(await loadCheckpoint(path), path);
}

function toContent(run: RunCheckpoint): CheckpointContent {
  const { progress, network, method, oscillation, averaging, ...rest } = run;
  const { best } = progress;
  const arrays = new Map<string, CheckpointArray>();
  for (const [name, array] of Object.entries(network.arrays)) arrays.set(`network/${name}`, array);
  for (const [name, array] of Object.entries(method.arrays)) arrays.set(`method/${name}`, array);
  for (const [name, array] of Object.entries(averaging?.arrays ?? {})) arrays.set(`averaging/${name}`, array);
  for (const [id, { integers, direction, frequency }] of Object.entries(oscillation)) {
    arrays.set(`integers/${id}`, integers);
    arrays.set(`direction/${id}`, direction);
    arrays.set(`frequency/${id}`, frequency);
  }
  for (const [name, { data }] of best?.model.weights ?? []) arrays.set(`best/${name}`, data);
  const values = {
    ...rest,
    progress: { ...progress, best: best && bestToJson(best) },
    network: network.values,
    method: method.values,
    ...(averaging && { averaging: averaging.values }),
  };
  return { values, arrays };
}

function bestToJson({ evaluation, model }: SelectedModel): object {
  return {
    evaluation,
    userDefinedMetadata: model.userDefinedMetadata,
    weights: [...model.weights].map(([name, { shape }]) => ({ name, shape })),
  };
}

function fromContent({ values, arrays }: CheckpointContent, path: string): RunCheckpoint {
  const at = (key: string): string => `${path}: ${key}`;
  const progress = objectOf(values["progress"], at("progress"));
  const lines = objectOf(values["lines"], at("lines"));
  return {
    created: textOf(values["created"], at("created")),
    options: values["options"],
    backend: textOf(values["backend"], at("backend")),
    dataset: datasetOf(values["dataset"], at("dataset")),
    model: modelOf(values["model"], at("model")),
    progress: {
      step: countOf(progress["step"], at("step")),
      quantized: progress["quantized"] === true,
      sinceLog: lossSumOf(progress["sinceLog"], at("sinceLog")),
      sinceEvaluation: lossSumOf(progress["sinceEvaluation"], at("sinceEvaluation")),
      frozen: numberOrNull(progress["frozen"], at("frozen")),
      best: progress["best"] === null ? null : bestOf(progress["best"], arrays, at("best")),
      last: progress["last"] === null ? null : evaluationOf(progress["last"], at("last")),
    },
    lines: Object.fromEntries(
      LINE_FILES.map((name) => [name, countOf(lines[name], at(`lines.${name}`))]),
    ) as unknown as LineSizes,
    network: { arrays: floatsOf(arrays, "network/"), values: objectOf(values["network"], at("network")) },
    method: { arrays: floatsOf(arrays, "method/"), values: objectOf(values["method"], at("method")) },
    oscillation: oscillationOf(arrays, path),
    averaging:
      values["averaging"] === undefined
        ? null
        : { arrays: floatsOf(arrays, "averaging/"), values: objectOf(values["averaging"], at("averaging")) },
  };
}

function datasetOf(value: unknown, where: string): DatasetFacts {
  const { imageSize, classes, domains } = objectOf(value, where);
  return {
    imageSize: countOf(imageSize, where),
    classes: listOf(classes, where).map((name) => textOf(name, where)),
    domains: listOf(domains, where).map((domain) => {
      const { name, count, sha256 } = objectOf(domain, where);
      return { name: textOf(name, where), count: countOf(count, where), sha256: textOf(sha256, where) };
    }),
  };
}

function modelOf(value: unknown, where: string): ModelFacts {
  const { weights, topologySha256 } = objectOf(value, where);
  return { weights: weightsOf(weights, where), topologySha256: textOf(topologySha256, where) };
}

function weightsOf(value: unknown, where: string): { name: string; shape: number[] }[] {
  return listOf(value, where).map((weight) => {
    const { name, shape } = objectOf(weight, where);
    return { name: textOf(name, where), shape: listOf(shape, where).map((dim) => countOf(dim, where)) };
  });
}

function bestOf(value: unknown, arrays: ReadonlyMap<string, CheckpointArray>, where: string): SelectedModel {
  const best = objectOf(value, where);
  const weights = new Map<string, Tensor<"float32">>();
  for (const { name, shape } of weightsOf(best["weights"], where)) {
    const data = arrays.get(`best/${name}`);
    if (!(data instanceof Float32Array) || data.length !== sizeOf(shape)) {
      throw new QdgError(
        "invalid-data",
        `${where}: ${name}`,
        "its numbers are not there; the checkpoint is damaged",
      );
    }
    weights.set(name, { dtype: "float32", shape, data });
  }
  const metadata = best["userDefinedMetadata"];
  return {
    evaluation: evaluationOf(best["evaluation"], where),
    model: { weights, userDefinedMetadata: metadata === null ? null : objectOf(metadata, where) },
  };
}

function evaluationOf(value: unknown, where: string): Evaluation {
  const evaluation = objectOf(value, where);
  const byBits = evaluation["byBits"];
  return {
    step: countOf(evaluation["step"], where),
    quantized: evaluation["quantized"] === true,
    domains: domainsOf(evaluation["domains"], where),
    ...(byBits === undefined
      ? {}
      : {
          byBits: listOf(byBits, where).map((each) => {
            const { bits, domains } = objectOf(each, where);
            return { bits: countOf(bits, where), domains: domainsOf(domains, where) };
          }),
        }),
  };
}

function domainsOf(value: unknown, where: string): Evaluation["domains"] {
  const accuracyOf = (each: unknown): number | null => (each === null ? null : numberOf(each, where));
  return listOf(value, where).map((each) => {
    const domain = objectOf(each, where);
    return {
      name: textOf(domain["name"], where),
      role: domain["role"] === "test" ? "test" : "source",
      training: accuracyOf(domain["training"]),
      validation: accuracyOf(domain["validation"]),
      all: accuracyOf(domain["all"]),
    };
  });
}

function lossSumOf(value: unknown, where: string): LossSum {
  const { sum, smooth, count } = objectOf(value, where);
  return { sum: numberOf(sum, where), smooth: numberOf(smooth, where), count: countOf(count, where) };
}

function floatsOf(
  arrays: ReadonlyMap<string, CheckpointArray>,
  prefix: string,
): Record<string, Float32Array> {
  const found: [string, Float32Array][] = [];
  for (const [name, array] of arrays) {
    if (name.startsWith(prefix) && array instanceof Float32Array)
      found.push([name.slice(prefix.length), array]);
  }
  return Object.fromEntries(found);
}

function oscillationOf(arrays: ReadonlyMap<string, CheckpointArray>, path: string): OscillationState {
  const state: [string, OscillationState[string]][] = [];
  for (const [name, integers] of arrays) {
    if (!name.startsWith("integers/")) continue;
    const id = name.slice("integers/".length);
    const direction = arrays.get(`direction/${id}`);
    const frequency = arrays.get(`frequency/${id}`);
    const isWhole =
      integers instanceof Int8Array &&
      direction instanceof Int8Array &&
      frequency instanceof Float32Array &&
      direction.length === integers.length &&
      frequency.length === integers.length;
    if (!isWhole) throw new QdgError("invalid-data", path, `the oscillation of ${id} is damaged`);
    state.push([id, { integers, direction, frequency }]);
  }
  return Object.fromEntries(state);
}
