// What targets are compared with: the reference; and where that is asked for, after some inputs the engine, once it was
// equal to the reference in every integer of those. Knows nothing of targets.

import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import type { Session } from "../runtime/runtime.js";
import { numbersOf } from "./metrics/metric.js";

export class Judge {
  readonly #reference: Session;
  readonly #tensors: readonly string[];
  readonly #after: number;
  #engine: Session | null;
  #byReference = 0;
  #byEngine = 0;
  #why: string | null = null;

  private constructor(reference: Session, tensors: readonly string[], after: number, engine: Session | null) {
    this.#reference = reference;
    this.#tensors = tensors;
    this.#after = after;
    this.#engine = engine;
  }

  /**
   * @param tensors quantized ones that both sessions give out
   * @param after inputs that the reference computes in any case; null: all of them
   * @param openEngine opens the engine on the reference's file
   */
  static async of(
    reference: Session,
    tensors: readonly string[],
    after: number | null,
    openEngine: () => Promise<Session>,
  ): Promise<Judge> {
    if (after === null) return new Judge(reference, tensors, 0, null);
    try {
      return new Judge(reference, tensors, after, await openEngine());
    } catch (thrown) {
      if (!(thrown instanceof QdgError && thrown.code === "unsupported-op")) throw thrown;
      const judge = new Judge(reference, tensors, after, null);
      judge.#why = `the engine does not stand in for the reference: ${thrown.message}`;
      return judge;
    }
  }

  async run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
    if (this.#engine && this.#byReference >= this.#after) {
      this.#byEngine++;
      return this.#engine.run(feeds);
    }
    this.#byReference++;
    const expected = await this.#reference.run(feeds);
    if (this.#engine) {
      const got = await this.#engine.run(feeds);
      const other = this.#tensors.find((name) => !isEqual(expected[name], got[name]));
      if (other !== undefined) {
        this.#engine = null;
        this.#why = `the engine does not stand in for the reference: it computes other integers of ${other}`;
      }
    }
    return expected;
  }

  /** Inputs that each computed. */
  get inputs(): { readonly reference: number; readonly engine: number } {
    return { reference: this.#byReference, engine: this.#byEngine };
  }

  /** Why the engine did not take over, where it was to; else nothing. */
  notes(): string[] {
    return this.#why === null ? [] : [this.#why];
  }
}

function isEqual(expected: Tensor | undefined, got: Tensor | undefined): boolean {
  if (!expected || !got || expected.data.length !== got.data.length) return false;
  const [a, b] = [numbersOf(expected), numbersOf(got)];
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
