// The config of one layer. Every key has to be read or ignored by name: `finish` reports what is left, so
// that no key of a file is passed over without anybody having decided so.

import { QdgError } from "../base/error.js";
import type { Json, JsonMap } from "./model-json.js";
import { camelCase, describe, isList, isMap } from "./model-json.js";

/**
 * Keys that any layer may carry and that do not change what it computes. tfjs ignores batch_input_shape and
 * its kin on every layer but the first, also when they are wrong; the first one's are read elsewhere.
 */
const ALWAYS_IGNORED = [
  "name",
  "trainable",
  "dtype",
  "batchInputShape",
  "inputShape",
  "batchSize",
  "inputDType",
  "inputDtype",
  "activityRegularizer",
  "autocast",
];

export class LayerConfig {
  readonly where: string;
  readonly #entries = new Map<string, { readonly key: string; readonly value: Json }>();
  readonly #seen = new Set<string>(ALWAYS_IGNORED);

  /** @param where `name (ClassName)`, for messages */
  constructor(config: JsonMap, where: string) {
    this.where = where;
    for (const [key, value] of config) this.#entries.set(camelCase(key), { key, value: unwrap(value) });
    // Weights inside a config would override the manifest's.
    this.neutral("weights");
  }

  fail(what: string): never {
    throw new QdgError("unsupported-layer", this.where, what);
  }

  /** The value under a key (camel case), undefined when it is absent or null. Marks the key as read. */
  get(key: string): Exclude<Json, null> | undefined {
    this.#seen.add(key);
    return this.#entries.get(key)?.value ?? undefined;
  }

  /** Keys that have no say in inference: initializers, regularizers, rates of dropout. */
  ignore(...keys: readonly string[]): void {
    for (const key of keys) this.#seen.add(key);
  }

  /** A key that tfjs-layers does not implement: it must be absent, null or one of `values`. */
  neutral(key: string, ...values: readonly Json[]): void {
    const value = this.get(key);
    if (value === undefined || values.includes(value)) return;
    const expected = values.length === 0 ? "nothing" : values.map(describe).join(" or ");
    this.fail(
      `${this.#spelling(key)}: got ${describe(value)}, expected ${expected}, as tfjs has no other; ` +
        "build the layer without it, and save the model again",
    );
  }

  boolean(key: string, otherwise: boolean): boolean {
    const value = this.get(key) ?? otherwise;
    return typeof value === "boolean" ? value : this.#wrong(key, "true or false");
  }

  number(key: string, otherwise?: number): number {
    const value = this.get(key) ?? otherwise;
    return typeof value === "number" && Number.isFinite(value) ? value : this.#wrong(key, "a finite number");
  }

  int(key: string, otherwise?: number): number {
    const value = this.get(key) ?? otherwise;
    return Number.isSafeInteger(value) ? (value as number) : this.#wrong(key, "an integer");
  }

  positiveInt(key: string, otherwise?: number): number {
    const value = this.int(key, otherwise);
    return value > 0 ? value : this.#wrong(key, "an integer > 0");
  }

  /** `length` integers >= `least`; one integer stands for all of them. */
  ints(
    key: string,
    length: number,
    least: number,
    otherwise?: number | readonly number[],
  ): readonly number[] {
    const value = this.get(key) ?? otherwise;
    const list: Json = typeof value === "number" ? Array<number>(length).fill(value) : (value ?? null);
    if (!isList(list) || list.length !== length || !isIntList(list, least)) {
      return this.#wrong(key, `${length} integers >= ${least}, or one`);
    }
    return list;
  }

  /** A list of integers of any length, or undefined when absent. */
  intList(key: string): readonly number[] | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    const list: Json = typeof value === "number" ? [value] : value;
    if (!isList(list) || !isIntList(list, Number.MIN_SAFE_INTEGER))
      return this.#wrong(key, "a list of integers");
    return list;
  }

  /** One of `values` (camel case), in whichever case the file spells it. */
  choice<T extends string>(key: string, values: readonly T[], otherwise?: T): T {
    const value = this.get(key) ?? otherwise;
    const found = typeof value === "string" ? values.find((item) => item === camelCase(value)) : undefined;
    return found ?? this.#wrong(key, values.map((item) => `"${item}"`).join(", "));
  }

  /** A value that is wrong for a reason that the accessors above do not know. */
  wrong(key: string, expected: string): never {
    return this.#wrong(key, expected);
  }

  /** @throws QdgError `unsupported-layer` for a key that nobody has read or ignored */
  finish(): void {
    for (const [camel, { key, value }] of this.#entries) {
      if (this.#seen.has(camel)) continue;
      this.fail(
        `config key ${JSON.stringify(key)} (${describe(value)}) is unknown; remove it from model.json if it ` +
          "does not change the layer's result",
      );
    }
  }

  #spelling(key: string): string {
    return this.#entries.get(key)?.key ?? key;
  }

  #wrong(key: string, expected: string): never {
    return this.fail(
      `${this.#spelling(key)}: got ${describe(this.#entries.get(key)?.value)}, expected ${expected}`,
    );
  }
}

function isIntList(list: readonly Json[], least: number): list is readonly number[] {
  return list.every((item) => Number.isSafeInteger(item) && (item as number) >= least);
}

/** Keras writes some scalars as `{type: "ndarray", value: x}`; tfjs takes the value. */
function unwrap(value: Json): Json {
  if (isMap(value) && value.get("type") === "ndarray" && typeof value.get("value") === "number") {
    return value.get("value") as number;
  }
  return value;
}
