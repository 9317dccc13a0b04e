// What the reference shows by itself, without a peer: levels, classes, accuracy. Whether that is a network that is alive
// is for verdict.ts to say.

import type { Tensor } from "../base/tensor.js";
import type { ParityInput } from "./inputs.js";
import { Accuracy, type GroupAccuracy } from "./metrics/accuracy.js";
import { ClassesPredicted } from "./metrics/classes-predicted.js";
import { LevelsUsed } from "./metrics/levels-used.js";
import type { QuantizedTensor } from "../export/quantized-tensors.js";
import type { TensorUse } from "./report.js";
import type { Life } from "./verdict.js";

export class ReferenceRun {
  readonly #tensors: readonly QuantizedTensor[];
  readonly #outputs: readonly string[];
  readonly #labels: readonly string[] | null;
  readonly #levels: readonly LevelsUsed[];
  readonly #classes: ReadonlyMap<string, ClassesPredicted>;
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
    this.#classes = new Map(outputs.map((name) => [name, new ClassesPredicted()]));
  }

  /** @returns the class that the folder of the input says; null when that is none of the model's */
  add(input: ParityInput, results: Readonly<Record<string, Tensor>>): number | null {
    this.#tensors.forEach(({ name }, i) => this.#levels[i]?.add(results[name] as Tensor));
    if (this.#first === null) this.#first = input;
    else this.#inputsDiffer ||= differ(this.#first, input);
    for (const [name, classes] of this.#classes) classes.add(results[name] as Tensor);
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

  /** What a verdict on the network's life takes from the file alone. */
  life(): Life {
    const classifiers = [...this.#classes].filter(([, { counts }]) => counts.size > 0);
    return {
      dead: this.tensorUse().filter((_, i) => this.#levels[i]?.dead),
      classes: new Map(classifiers.map(([name, { counts }]) => [name, counts])),
      inputsDiffer: this.#inputsDiffer,
    };
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
    return Object.fromEntries([...this.life().classes].map(([name, counts]) => [name, counts.size]));
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
