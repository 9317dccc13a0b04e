// The attributes of one node. Each has to be read or ignored by name: `finish` reports what is left, so that none is passed
// over without anybody having decided so.

import { QdgError } from "../../base/error.js";
import type { DType } from "../../base/tensor.js";
import type { TfjsShape } from "../dims.js";
import { describe, isList, isMap, type Json, type JsonMap } from "../model-json.js";
import { shapeOf, textOf, typeOf } from "./graph-json.js";

/** What says nothing that the tensors themselves do not say: types, counts of inputs, hints to a device. */
const ALWAYS_IGNORED: ReadonlySet<string> = new Set([
  "N",
  "T",
  "container",
  "host_args",
  "include_batch_in_index",
  "message",
  "num_args",
  "num_host_args",
  "output_shapes",
  "parallel_iterations",
  "shared_name",
  "summarize",
  "use_cudnn_on_gpu",
  "useCudnnOnGpu",
  "validate_shape",
  "validate_indices",
]);

export class Attributes {
  readonly #entries: JsonMap;
  readonly #seen = new Set<string>();
  readonly #where: string;

  /** @param where `name (Op)`, for messages */
  constructor(entries: JsonMap, where: string) {
    this.#entries = entries;
    this.#where = where;
  }

  /** What stands under the first of the kinds that is there; an empty attribute is none. */
  #get(name: string, ...kinds: readonly string[]): Json | undefined {
    this.#seen.add(name);
    const entry = this.#entries.get(name);
    if (entry === undefined || entry === null || (isMap(entry) && entry.size === 0)) return undefined;
    const kind = isMap(entry) ? kinds.find((each) => entry.has(each)) : undefined;
    return kind === undefined ? this.#wrong(name, `{${kinds.join(" or ")}}`) : (entry as JsonMap).get(kind);
  }

  /** A number; integers may be written as text, and 0 left out. */
  number(name: string, otherwise: number): number {
    const value = this.#get(name, "i", "f");
    if (value === undefined) return otherwise;
    const number = typeof value === "string" ? Number(value) : value;
    return typeof number === "number" && Number.isFinite(number) ? number : this.#wrong(name, "a number");
  }

  int(name: string, otherwise: number): number {
    const value = this.number(name, otherwise);
    return Number.isSafeInteger(value) ? value : this.#wrong(name, "an integer");
  }

  boolean(name: string, otherwise: boolean): boolean {
    const value = this.#get(name, "b");
    if (value === undefined) return otherwise;
    return typeof value === "boolean" ? value : this.#wrong(name, "true or false");
  }

  /** Integers; none where the attribute is absent. */
  ints(name: string): number[] {
    const list = this.#list(name, "i");
    const numbers = list.map((item) => (typeof item === "string" ? Number(item) : item));
    if (numbers.every((item): item is number => Number.isSafeInteger(item))) return numbers;
    return this.#wrong(name, "a list of integers");
  }

  text(name: string, otherwise: string): string {
    const value = this.#get(name, "s");
    return value === undefined ? otherwise : textOf(value, `${this.#where}: ${name}`);
  }

  texts(name: string): string[] {
    return this.#list(name, "s").map((item) => textOf(item, `${this.#where}: ${name}`));
  }

  /** One of `values`, whatever the case that the file spells it in. */
  choice<T extends string>(name: string, values: readonly T[], otherwise: T): T {
    const text = this.text(name, otherwise);
    const found = values.find((value) => value.toLowerCase() === text.toLowerCase());
    return found ?? this.#wrong(name, values.join(", "));
  }

  /** The type that tfjs holds it in. */
  dtype(name: string, otherwise: DType): DType {
    const value = this.#get(name, "type");
    if (value === undefined) return otherwise;
    return typeOf(value) ?? this.#wrong(name, "a type of real numbers, integers or booleans");
  }

  /** null where it is absent, or of unknown rank. */
  shape(name: string): TfjsShape | null {
    return shapeOf(this.#get(name, "shape"));
  }

  ignore(...names: readonly string[]): void {
    for (const name of names) this.#seen.add(name);
  }

  /** @throws QdgError `unsupported-op` for an attribute that nobody has read or ignored */
  finish(): void {
    for (const [name, value] of this.#entries) {
      if (this.#seen.has(name) || ALWAYS_IGNORED.has(name) || name.startsWith("_")) continue;
      // Types of tensors, which the tensors have anyway.
      if (isMap(value) && (value.has("type") || isTypes(value.get("list")))) continue;
      this.#wrong(name, "no such attribute: qdg does not know what it changes");
    }
  }

  #list(name: string, kind: string): readonly Json[] {
    const list = this.#get(name, "list");
    if (list === undefined) return [];
    const items = isMap(list) ? (list.get(kind) ?? []) : null;
    return isList(items ?? undefined) ? (items as readonly Json[]) : this.#wrong(name, "a list");
  }

  #wrong(name: string, expected: string): never {
    throw new QdgError(
      "unsupported-op",
      this.#where,
      `attribute ${name}: got ${describe(this.#entries.get(name))}, expected ${expected}`,
    );
  }
}

function isTypes(list: Json | undefined): boolean {
  return isMap(list) && list.has("type");
}
