// What a checkpoint remembers of the data and the model that it belongs to, and the comparison with those at hand:
// a run that goes on with other images or another network would be wrong in silence.

import { createHash } from "node:crypto";
import { QdgError } from "../../base/error.js";
import type { Dataset } from "../data/dataset.js";
import { structureText, type TrainableModel } from "../trainable-model.js";

export interface DatasetFacts {
  readonly imageSize: number;
  readonly classes: readonly string[];
  readonly domains: readonly { readonly name: string; readonly count: number; readonly sha256: string }[];
}

export interface ModelFacts {
  readonly weights: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly topologySha256: string;
}

/** Images of a domain whose pixels are hashed: evenly spaced ones, since all of a large set would take seconds. */
const HASHED_IMAGES = 32;

/** Names of all files, their classes, and the pixels of some. */
export function datasetFacts({ imageSize, classes, domains }: Dataset): DatasetFacts {
  return {
    imageSize,
    classes: [...classes],
    domains: domains.map((domain) => {
      const hash = createHash("sha256").update(JSON.stringify(domain.files)).update(domain.labels);
      const count = Math.min(HASHED_IMAGES, domain.count);
      for (let i = 0; i < count; i++) hash.update(domain.image(Math.floor((i * domain.count) / count)));
      return { name: domain.name, count: domain.count, sha256: hash.digest("hex") };
    }),
  };
}

export function modelFacts(model: TrainableModel): ModelFacts {
  return {
    weights: [...model.weights].map(([name, { shape }]) => ({ name, shape: [...shape] })),
    topologySha256: createHash("sha256").update(structureText(model)).digest("hex"),
  };
}

/**
 * @param where the checkpoint
 * @throws QdgError `invalid-data` naming the first thing that differs
 */
export function checkDataset(stored: DatasetFacts, found: DatasetFacts, where: string): void {
  const differs = (what: string, got: unknown, expected: unknown): never => {
    throw new QdgError(
      "invalid-data",
      where,
      `the images are not those of the run: ${what}: got ${text(got)}, expected ${text(expected)}; bring back the data it was started with, or start anew with --force`,
    );
  };
  if (text(stored.classes) !== text(found.classes)) differs("classes", found.classes, stored.classes);
  if (stored.imageSize !== found.imageSize) differs("image size", found.imageSize, stored.imageSize);
  const names = (facts: DatasetFacts): string[] => facts.domains.map(({ name }) => name);
  if (text(names(stored)) !== text(names(found))) differs("domains", names(found), names(stored));
  stored.domains.forEach((domain, i) => {
    const other = found.domains[i];
    if (domain.count !== other?.count) differs(`images in ${domain.name}`, other?.count, domain.count);
    if (domain.sha256 !== other?.sha256) differs(`files or pixels of ${domain.name}`, "others", "the same");
  });
}

/**
 * @param where the checkpoint
 * @throws QdgError `invalid-data` naming the first weight that differs
 */
export function checkModel(stored: ModelFacts, found: ModelFacts, where: string): void {
  const differs = (what: string): never => {
    throw new QdgError(
      "invalid-data",
      where,
      `is of another model: ${what}; give the --model of the run, or start anew with --force`,
    );
  };
  const count = Math.max(stored.weights.length, found.weights.length);
  for (let i = 0; i < count; i++) {
    const [before, now] = [describe(stored.weights[i]), describe(found.weights[i])];
    if (before !== now) differs(`weight ${i + 1}: got ${now}, expected ${before}`);
  }
  if (stored.topologySha256 !== found.topologySha256) differs("its layers are set otherwise");
}

function describe(weight: ModelFacts["weights"][number] | undefined): string {
  return weight ? `${weight.name} [${weight.shape.join(", ")}]` : "none";
}

function text(value: unknown): string {
  return JSON.stringify(value) ?? "nothing";
}
