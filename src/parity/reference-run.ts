// What the reference shows by itself, without a peer: levels, classes, accuracy; whether the network is alive.

import type { Tensor } from "../base/tensor.js";
import type { ParityInput } from "./inputs.js";
import { Accuracy, type GroupAccuracy } from "./metrics/accuracy.js";
import { LEAST_LEVELS, LevelsUsed } from "./metrics/levels-used.js";
import { isClassifier, predictions } from "./metrics/top1.js";
import type { QuantizedTensor } from "../export/quantized-tensors.js";
import type { TensorUse } from "./report.js";

export class ReferenceRun {
  readonly #tensors: readonly QuantizedTensor[];
  readonly #outputs: readonly string[];
  readonly #labels: readonly string[] | null;
  readonly #levels: readonly LevelsUsed[];
  readonly #classes = new Map<string, Set<number>>();
  readonly #accuracy = new Accuracy();
  readonly #unknownLabels = new Set<string>();
  #first: ParityInput | null = null;
  #inputsDiffer = false;

  constructor(
    tensors: readonly QuantizedTensor[],
    outputs: readonly string[],
    labels: readonly string[] | null,
  ) {
    this.#tensors = tensors;
    this.#outputs = outputs;
    this.#labels = labels;
    this.#levels = tensors.map(() => new LevelsUsed());
  }

  /** @returns the class that the folder of the input says; null when that is none of the model's */
  add(input: ParityInput, results: Readonly<Record<string, Tensor>>): number | null {
    this.#tensors.forEach(({ name }, i) => this.#levels[i]?.add(results[name] as Tensor));
    if (this.#first === null) this.#first = input;
    else this.#inputsDiffer ||= differ(this.#first, input);
    for (const name of this.#outputs) {
      const output = results[name] as Tensor;
      if (!isClassifier(output.shape)) continue;
      const seen = this.#classes.get(name) ?? new Set<number>();
      for (const best of predictions(output)) seen.add(best);
      this.#classes.set(name, seen);
    }
    const label = this.#labelOf(input);
    this.#accuracy.add(input.group, results[this.#outputs[0] ?? ""], label);
    return label;
  }

  #labelOf({ label }: ParityInput): number | null {
    if (!this.#labels || label === null) return null;
    const at = this.#labels.indexOf(label);
    if (at >= 0) return at;
    this.#unknownLabels.add(label);
    return null;
  }

  deadReasons(): string[] {
    const reasons: string[] = [];
    this.#tensors.forEach(({ name, layer }, i) => {
      const levels = this.#levels[i];
      if (!levels?.dead) return;
      reasons.push(
        `dead network: layer ${layer} uses ${levels.count} level(s) of tensor ${name} over all inputs, expected at least ${LEAST_LEVELS}; equality says nothing here`,
      );
    });
    if (!this.#inputsDiffer) return reasons;
    for (const [name, seen] of this.#classes) {
      if (seen.size > 1) continue;
      reasons.push(
        `dead network: output ${name} is class ${[...seen].join("")} for all inputs, expected at least two classes; if the data holds one class only, add others`,
      );
    }
    return reasons;
  }

  notes(): string[] {
    const notes: string[] = [];
    if (this.#tensors.length === 0) notes.push("the model has no quantized tensors");
    if (!this.#inputsDiffer) {
      notes.push("no two inputs differ, so it cannot be told whether the network tells inputs apart");
    }
    if (this.#unknownLabels.size > 0) {
      const folders = [...this.#unknownLabels].sort().join(", ");
      const known = this.#labels?.join(", ");
      notes.push(`folders ${folders} are not among the model's labels (${known}): left out of accuracy`);
    }
    return notes;
  }

  tensorUse(): TensorUse[] {
    return this.#tensors.map(({ name, layer, bits, scale, zeroPoint }, i) => ({
      name,
      layer,
      bits,
      scale,
      zeroPoint,
      levelsUsed: this.#levels[i]?.count ?? 0,
    }));
  }

  /** Different classes by classifier output. */
  classesPredicted(): Record<string, number> {
    return Object.fromEntries([...this.#classes].map(([name, seen]) => [name, seen.size]));
  }

  accuracy(): GroupAccuracy[] {
    return this.#accuracy.result();
  }
}

/** Whether two inputs have other data: two copies of one image prove nothing. */
function differ(a: ParityInput, b: ParityInput): boolean {
  return Object.entries(a.feeds).some(([name, { data }]) => {
    const other = b.feeds[name]?.data;
    return data.length !== other?.length || data.some((value, i) => value !== other[i]);
  });
}
