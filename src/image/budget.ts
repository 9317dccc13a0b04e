// How much of something may be in use at a time, however many ask for it at once: pixels of decoded images, for one.

/** Gives out shares of a total, first come, first served. */
export class Budget {
  readonly #total: number;
  readonly #waiting: { readonly share: number; readonly go: () => void }[] = [];
  #free: number;

  constructor(total: number) {
    this.#total = total;
    this.#free = total;
  }

  /**
   * Runs `work` once `share` of the total is free, and holds it until the work is done. More than the total counts as
   * all of it: such work runs alone.
   */
  async spend<T>(share: number, work: () => Promise<T>): Promise<T> {
    const held = Math.min(share, this.#total);
    // Whoever comes later waits too, or a large share would never be free.
    if (this.#waiting.length > 0 || held > this.#free) {
      await new Promise<void>((go) => this.#waiting.push({ share: held, go }));
    } else this.#free -= held;
    try {
      return await work();
    } finally {
      this.#free += held;
      for (let next = this.#waiting[0]; next && next.share <= this.#free; next = this.#waiting[0]) {
        this.#waiting.shift();
        this.#free -= next.share;
        next.go();
      }
    }
  }
}
