// In which order the calls of a Model's layers are made: tfjs's order, since the number of a call is its place in it.
// Only who waits for whom is looked at here, never what a layer is.

import { QdgError } from "../base/error.js";

/** The output `tensor` of call number `call` of a layer. */
export interface Reference {
  readonly layer: string;
  readonly call: number;
  readonly tensor: number;
}

export interface Step {
  readonly layer: string;
  readonly call: number;
  readonly inputs: readonly Reference[];
}

/** A layer of a Model, and the inputs of each of its calls. */
export interface CalledLayer {
  readonly name: string;
  /** Calls that are there from the start: 1 for an input, and for a model, whose own graph is its call 0. */
  readonly made: number;
  readonly calls: readonly (readonly Reference[])[];
}

interface Waiting {
  readonly layer: string;
  readonly inputs: readonly Reference[];
  /** References that are not made yet. */
  missing: number;
}

/**
 * Calls in the order in which tfjs makes them: it goes through the layers in rounds, making each call whose inputs are
 * there. So a call is made in the round of its last input where it stands after that in the file, and one round later
 * where it stands before. Calls are taken from a heap by (round, place in the file): n calls with r references take
 * time n log n + r, not n^2 as going through all of them each round.
 *
 * @throws QdgError `invalid-model` naming a call whose input is never made
 */
export function orderCalls(layers: readonly CalledLayer[], model: string): Step[] {
  const made = new Map(layers.map(({ name, made: count }) => [name, count]));
  const calls = layers.flatMap(({ name, calls: all }) =>
    // tfjs passes over a call without inputs.
    all.flatMap((inputs): Waiting[] => (inputs.length === 0 ? [] : [{ layer: name, inputs, missing: 0 }])),
  );
  /** Places of the calls that wait for a call of a layer, by its number. */
  const waiters = new Map<string, Map<number, number[]>>();
  const ready = new Heap();
  calls.forEach((waiting, place) => {
    for (const { layer, call } of waiting.inputs) {
      if ((made.get(layer) ?? 0) > call) continue;
      waiting.missing++;
      const ofLayer = waiters.get(layer) ?? new Map<number, number[]>();
      waiters.set(layer, ofLayer);
      const places = ofLayer.get(call);
      if (places) places.push(place);
      else ofLayer.set(call, [place]);
    }
    if (waiting.missing === 0) ready.push(place);
  });
  const steps: Step[] = [];
  for (let key = ready.pop(); key !== undefined; key = ready.pop()) {
    // A key is round * number of calls + place.
    const place = key % calls.length;
    const { layer, inputs } = calls[place] as Waiting;
    const call = made.get(layer) ?? 0;
    made.set(layer, call + 1);
    steps.push({ layer, call, inputs });
    for (const next of waiters.get(layer)?.get(call) ?? []) {
      const waiting = calls[next] as Waiting;
      if (--waiting.missing === 0) ready.push(key - place + next + (next > place ? 0 : calls.length));
    }
  }
  if (steps.length < calls.length) {
    const stuck = calls.find(({ missing }) => missing > 0);
    const missing = stuck?.inputs.find(({ layer, call }) => (made.get(layer) ?? 0) <= call);
    throw new QdgError(
      "invalid-model",
      stuck?.layer ?? model,
      `its input ${JSON.stringify(missing?.layer)} (call ${missing?.call}) is never made: unknown, or part of a cycle`,
    );
  }
  return steps;
}

/** A binary heap of numbers, the least on top. */
class Heap {
  readonly #keys: number[] = [];

  push(key: number): void {
    const keys = this.#keys;
    let at = keys.length;
    keys.push(key);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((keys[parent] as number) <= key) break;
      keys[at] = keys[parent] as number;
      at = parent;
    }
    keys[at] = key;
  }

  pop(): number | undefined {
    const keys = this.#keys;
    const top = keys[0];
    const last = keys.pop();
    if (last === undefined || keys.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= keys.length) break;
      if (child + 1 < keys.length && (keys[child + 1] as number) < (keys[child] as number)) child++;
      if ((keys[child] as number) >= last) break;
      keys[at] = keys[child] as number;
      at = child;
    }
    keys[at] = last;
    return top;
  }
}
