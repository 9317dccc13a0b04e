// What an average of all trainables is to those who take it in and put it into a network. Types alone.

import type { StateReader, StateWriter } from "../methods/method-state.js";

export interface VectorAverage {
  /** Vectors that {@link current} is the average of. */
  readonly count: number;
  add(x: Float32Array): void;
  /** The average as it stands; null where there is none yet. Not to be written to. */
  current(): Float32Array | null;
  save(state: StateWriter): void;
  /** @throws QdgError `invalid-data` */
  load(state: StateReader): void;
}
