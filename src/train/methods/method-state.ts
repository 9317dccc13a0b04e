// Writes a method's state and reads it back with every array and number checked: a checkpoint is a file, and
// what a file says is not believed.

import { QdgError } from "../../base/error.js";
import type { MethodState } from "./method.js";

/** Collects copies: what is saved no longer moves with the method. */
export class StateWriter {
  readonly #arrays: Record<string, Float32Array> = {};
  readonly #values: Record<string, unknown> = {};

  array(name: string, array: Float32Array): void {
    this.#arrays[name] = array.slice();
  }

  count(name: string, count: number): void {
    this.#values[name] = count;
  }

  text(name: string, text: string): void {
    this.#values[name] = text;
  }

  state(): MethodState {
    return { arrays: this.#arrays, values: this.#values };
  }
}

/** Each method throws QdgError `invalid-data` naming the entry, when it is absent or not as expected. */
export class StateReader {
  readonly #state: MethodState;

  constructor(state: MethodState) {
    this.#state = state;
  }

  /** Finite numbers, none below `lowest`. */
  array(name: string, length: number, lowest: number): Float32Array {
    const array: unknown = Object.hasOwn(this.#state.arrays, name) ? this.#state.arrays[name] : undefined;
    if (!(array instanceof Float32Array)) return this.#fail(name, "is not there");
    if (array.length !== length) this.#fail(name, `got ${array.length} numbers, expected ${length}`);
    for (const x of array) {
      if (!Number.isFinite(x) || x < lowest)
        this.#fail(name, `got ${x}, expected finite numbers >= ${lowest}`);
    }
    return array;
  }

  /** An integer from 0. */
  count(name: string): number {
    const count = this.#value(name);
    if (typeof count === "number" && Number.isSafeInteger(count) && count >= 0) return count;
    return this.#fail(name, `got ${JSON.stringify(count)}, expected an integer from 0`);
  }

  /** The text that must be there: whose state it is. */
  expectText(name: string, expected: string): void {
    const text = this.#value(name);
    if (text !== expected) this.#fail(name, `got ${shorten(text)}, expected ${shorten(expected)}`);
  }

  #value(name: string): unknown {
    return Object.hasOwn(this.#state.values, name) ? this.#state.values[name] : undefined;
  }

  #fail(name: string, what: string): never {
    throw new QdgError(
      "invalid-data",
      `the method's state, ${name}`,
      `${what}; resume with the method, model and options that the checkpoint was made with`,
    );
  }
}

function shorten(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** The state of a method, begun with whose it is. @param trainables as TrainableVector describes them */
export function stateOf(method: string, trainables: string): StateWriter {
  const state = new StateWriter();
  state.text("method", method);
  state.text("trainables", trainables);
  return state;
}

/** @throws QdgError `invalid-data` for a state of another method, or of other trainables */
export function readerOf(state: MethodState, method: string, trainables: string): StateReader {
  const reader = new StateReader(state);
  reader.expectText("method", method);
  reader.expectText("trainables", trainables);
  return reader;
}
