// What a training run left in its folder, read and checked. Nothing is computed here but the means that keep
// a window of many scales small; nothing is ever written into a run.

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { QdgError } from "../../base/error.js";
import {
  countOf,
  type JsonObject,
  listOf,
  numberOf,
  numberOrNull,
  objectOf,
  oneOf,
  shareOf,
  shareOrNull,
  textOf,
} from "./fields.js";
import { type JsonLine, readJson, readJsonLines } from "./json-lines.js";
import { mean } from "./mean.js";

export interface RunDomain {
  readonly name: string;
  /** `test`: held out, no image of it is trained on. */
  readonly role: "source" | "test";
  /** Images of each split. */
  readonly training: number;
  readonly validation: number;
}

export interface RunQuantizer {
  readonly id: string;
  readonly layer: string;
  readonly role: "weight" | "activation";
  readonly bits: number;
  readonly signed: boolean;
}

/** `run.json`. */
export interface RunDescription {
  readonly qdg: string;
  readonly created: string;
  readonly options: JsonObject;
  readonly backend: string;
  readonly model: string;
  readonly parameters: number;
  readonly classes: readonly string[];
  readonly domains: readonly RunDomain[];
  /** In the order of the network. */
  readonly quantizers: readonly RunQuantizer[];
}

/** A line of `log.jsonl`. */
export interface LogLine {
  readonly step: number;
  readonly loss: number | null;
  readonly smoothLoss: number | null;
  readonly learningRate: number | null;
  readonly imagesPerSecond: number | null;
  /** Share of the scales that are frozen. */
  readonly frozen: number | null;
  /** Mean scale by quantizer. */
  readonly scales: ReadonlyMap<string, number>;
}

/** Accuracy on the two splits of a domain, and on all of it; null where it was not measured, or is not said. */
export interface DomainAccuracy {
  readonly training: number | null;
  readonly validation: number | null;
  readonly all: number | null;
}

/** A line of `results.jsonl`: one evaluation. */
export interface ResultLine {
  readonly step: number;
  /** Whether it is of the integer network; true where the line does not say. */
  readonly quantized: boolean;
  readonly accuracy: ReadonlyMap<string, DomainAccuracy>;
  /** Of a network for several bits: at each that was evaluated, whose mean `accuracy` is; else empty. */
  readonly byBits: ReadonlyMap<number, ReadonlyMap<string, DomainAccuracy>>;
  /** Share of weights that oscillate, mean over the quantized weights; null where none was counted. */
  readonly oscillating: number | null;
}

export interface WindowEntry {
  /** Scales of the trainable: 1, or one a channel. */
  readonly scales: number;
  readonly disorder: number;
  /** Share of them that is frozen in the next window. */
  readonly frozen: number;
  /** What the other gradient did and how the two stood to each other, means over the scales; null where no line says. */
  readonly conflict: ScaleConflict | null;
}

/** As a window reports them (`methods/conflict.ts`): 0 to 1, the cosine -1 to 1. */
export interface ScaleConflict {
  readonly smoothnessDisorder: number;
  readonly opposed: number;
  readonly cosine: number;
}

/** A line of `freezing.jsonl`: the means of one window, by trainable. */
export interface WindowLine {
  readonly step: number;
  readonly steps: number;
  readonly entries: ReadonlyMap<string, WindowEntry>;
  /** Share of the layers whose two gradients oppose each other over the window: a cosine below 0; null where no line says. */
  readonly opposingLayers: number | null;
  /** Disorder at 5, 25, 50, 75 and 95 percent of all scales. */
  readonly quantiles: readonly number[];
}

export const QUANTILES: readonly number[] = [0.05, 0.25, 0.5, 0.75, 0.95];

export interface Run {
  readonly folder: string;
  readonly description: RunDescription;
  readonly log: readonly LogLine[];
  readonly results: readonly ResultLine[];
  readonly windows: readonly WindowLine[];
  readonly notes: readonly string[];
}

const VERSION = 1;

/**
 * Reads a run, finished or not: files that it has not begun are empty.
 *
 * @throws QdgError `not-found` for no run at all, `invalid-json` and `invalid-data` with file and line
 */
export async function readRun(folder: string): Promise<Run> {
  const path = join(folder, "run.json");
  const found = await stat(path).catch(() => null);
  if (!found) {
    throw new QdgError(
      "not-found",
      folder,
      "no run.json in it, expected a folder that qdg train has written",
    );
  }
  const description = parseDescription(objectOf(await readJson(path), path), path);
  const names = description.domains.map(({ name }) => name).sort();
  const log = new Steps<LogLine>();
  const results = new Steps<ResultLine>();
  const windows = new Steps<WindowLine>();
  const notes = [
    ...(await readJsonLines(join(folder, "log.jsonl"), (line) => log.add(parseLog(line)))),
    ...(await readJsonLines(join(folder, "results.jsonl"), (line) => results.add(parseResult(line, names)))),
    ...(await readJsonLines(join(folder, "freezing.jsonl"), (line) => windows.add(parseWindow(line)))),
  ];
  return { folder, description, log: log.lines, results: results.lines, windows: windows.lines, notes };
}

/** Lines by rising step. A run that was resumed writes the steps since its checkpoint again: the later count. */
class Steps<Line extends { readonly step: number }> {
  readonly lines: Line[] = [];

  add(line: Line): void {
    while ((this.lines.at(-1)?.step ?? -1) >= line.step) this.lines.pop();
    this.lines.push(line);
  }
}

function parseDescription(json: JsonObject, where: string): RunDescription {
  if (json["version"] !== VERSION) {
    const got = JSON.stringify(json["version"]) ?? "none";
    throw new QdgError("invalid-data", where, `version: got ${got}, expected ${VERSION}; take a newer qdg`);
  }
  const backend = objectOf(json["backend"], `${where}: backend`);
  const model = objectOf(json["model"], `${where}: model`);
  const domains = listOf(json["domains"], `${where}: domains`).map((item, i) => {
    const at = `${where}: domains[${i}]`;
    const domain = objectOf(item, at);
    return {
      name: textOf(domain["name"], `${at}.name`),
      role: oneOf(domain["role"], ["source", "test"], `${at}.role`),
      training: countOf(domain["training"], `${at}.training`),
      validation: countOf(domain["validation"], `${at}.validation`),
    };
  });
  const twice = domains.find(({ name }, i) => domains.findIndex((other) => other.name === name) !== i);
  if (twice) throw new QdgError("invalid-data", where, `domains: "${twice.name}" is listed twice`);
  return {
    qdg: textOf(json["qdg"], `${where}: qdg`),
    created: textOf(json["created"], `${where}: created`),
    options: objectOf(json["options"], `${where}: options`),
    backend: `${textOf(backend["name"], `${where}: backend.name`)} ${textOf(backend["version"], `${where}: backend.version`)}`,
    model: textOf(model["name"], `${where}: model.name`),
    parameters: countOf(model["parameters"], `${where}: model.parameters`),
    classes: listOf(json["classes"], `${where}: classes`).map((item) => textOf(item, `${where}: classes`)),
    domains,
    quantizers: listOf(json["quantizers"], `${where}: quantizers`).map((item, i) => {
      const at = `${where}: quantizers[${i}]`;
      const quantizer = objectOf(item, at);
      return {
        id: textOf(quantizer["id"], `${at}.id`),
        layer: textOf(quantizer["layer"], `${at}.layer`),
        role: oneOf(quantizer["role"], ["weight", "activation"], `${at}.role`),
        bits: countOf(quantizer["bits"], `${at}.bits`),
        signed: quantizer["signed"] === true,
      };
    }),
  };
}

function parseLog({ where, value }: JsonLine): LogLine {
  const line = objectOf(value, where);
  const scales = objectOf(line["scales"] ?? {}, `${where}: scales`);
  return {
    step: countOf(line["step"], `${where}: step`),
    loss: numberOrNull(line["loss"], `${where}: loss`),
    smoothLoss: numberOrNull(line["smoothLoss"], `${where}: smoothLoss`),
    learningRate: numberOrNull(line["learningRate"], `${where}: learningRate`),
    imagesPerSecond: numberOrNull(line["imagesPerSecond"], `${where}: imagesPerSecond`),
    frozen: shareOrNull(line["frozen"], `${where}: frozen`),
    scales: new Map(
      Object.entries(scales).map(([id, scale]) => [id, numberOf(scale, `${where}: scales.${id}`)]),
    ),
  };
}

/** @param sorted names of the domains in the order of `env0`, `env1`, where the line does not say */
function parseResult({ where, value }: JsonLine, sorted: readonly string[]): ResultLine {
  const line = objectOf(value, where);
  const named = line["domains"];
  const names =
    named === undefined
      ? sorted
      : listOf(named, `${where}: domains`).map((name) => textOf(name, `${where}: domains`));
  const byBits = Object.entries(objectOf(line["by_bits"] ?? {}, `${where}: by_bits`)).map(([bits, each]) => {
    const at = `${where}: by_bits.${bits}`;
    return [countOf(Number(bits), at), accuracyIn(objectOf(each, at), names, at)] as const;
  });
  const oscillating = Object.entries(objectOf(line["oscillating"] ?? {}, `${where}: oscillating`)).map(
    ([id, share]) => shareOf(share, `${where}: oscillating.${id}`),
  );
  return {
    step: countOf(line["step"], `${where}: step`),
    quantized: line["quantized"] !== false,
    accuracy: accuracyIn(line, names, where),
    byBits: new Map(byBits),
    oscillating: oscillating.length === 0 ? null : mean(oscillating),
  };
}

function accuracyIn(line: JsonObject, names: readonly string[], where: string): Map<string, DomainAccuracy> {
  const whole = objectOf(line["test_acc"] ?? {}, `${where}: test_acc`);
  return new Map(
    names.map((name, i) => [
      name,
      {
        training: shareOrNull(line[`env${i}_in_acc`], `${where}: env${i}_in_acc`),
        validation: shareOrNull(line[`env${i}_out_acc`], `${where}: env${i}_out_acc`),
        all: shareOrNull(whole[name], `${where}: test_acc.${name}`),
      },
    ]),
  );
}

function parseWindow({ where, value }: JsonLine): WindowLine {
  const line = objectOf(value, where);
  const frozen = objectOf(line["frozen"], `${where}: frozen`);
  const entries = new Map<string, WindowEntry>();
  const all: number[] = [];
  for (const [name, list] of Object.entries(objectOf(line["disorder"], `${where}: disorder`))) {
    const disorder = listOf(list, `${where}: disorder.${name}`).map((each) =>
      shareOrNull(each, `${where}: disorder.${name}`),
    );
    const marks = listOf(frozen[name], `${where}: frozen.${name}`).map((each) =>
      shareOf(each, `${where}: frozen.${name}`),
    );
    if (disorder.length === 0 || disorder.length !== marks.length) {
      throw new QdgError(
        "invalid-data",
        `${where}: ${name}`,
        `got ${disorder.length} disorders and ${marks.length} marks of freezing, expected as many, one at least`,
      );
    }
    const known = disorder.filter((each) => each !== null);
    // Nothing is known of scales without a gradient.
    if (known.length === 0) continue;
    entries.set(name, {
      scales: disorder.length,
      disorder: mean(known),
      frozen: mean(marks),
      conflict: conflictOf(line, name, where),
    });
    all.push(...known);
  }
  const ordered = Float64Array.from(all).sort();
  return {
    step: countOf(line["step"], `${where}: step`),
    steps: countOf(line["steps"], `${where}: steps`),
    entries,
    opposingLayers: opposingLayers(line["layers"], where),
    quantiles: ordered.length === 0 ? [] : QUANTILES.map((q) => quantile(ordered, q)),
  };
}

function conflictOf(line: JsonObject, name: string, where: string): ScaleConflict | null {
  if (line["cosine"] === undefined) return null;
  const meanOf = (key: string): number | null => {
    const at = `${where}: ${key}.${name}`;
    const list = listOf(objectOf(line[key], `${where}: ${key}`)[name], at);
    const known = list.filter((each) => each !== null);
    if (known.length === 0) return null;
    return mean(known.map((each) => (key === "cosine" ? cosineOf(each, at) : shareOf(each, at))));
  };
  const [smoothnessDisorder, opposed, cosine] = ["smoothnessDisorder", "opposed", "cosine"].map(meanOf);
  if (typeof smoothnessDisorder !== "number" || typeof opposed !== "number" || typeof cosine !== "number") {
    return null;
  }
  return { smoothnessDisorder, opposed, cosine };
}

function opposingLayers(value: unknown, where: string): number | null {
  if (value === undefined) return null;
  const layers = Object.entries(objectOf(value, `${where}: layers`));
  const cosines = layers.map(([name, layer]) => {
    const at = `${where}: layers.${name}`;
    return cosineOf(objectOf(layer, at)["cosine"], at);
  });
  return cosines.length === 0 ? null : mean(cosines.map((cosine) => (cosine < 0 ? 1 : 0)));
}

function cosineOf(value: unknown, where: string): number {
  const cosine = numberOf(value, where);
  if (Math.abs(cosine) <= 1) return cosine;
  throw new QdgError("invalid-data", where, `got ${cosine}, expected a cosine, -1 to 1`);
}

/** Linear between the two nearest of the ordered values. */
function quantile(ordered: Float64Array, q: number): number {
  const at = q * (ordered.length - 1);
  const low = ordered[Math.floor(at)] as number;
  const high = ordered[Math.ceil(at)] as number;
  return low + (high - low) * (at - Math.floor(at));
}
