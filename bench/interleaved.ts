// Times sessions against each other in one run: what slows down the machine slows down all of them. Says how long
// each run took; what follows from that is not decided here.

import type { Session, Tensor } from "qdg";
import { gaussian } from "./models/random.js";

export interface Rounds {
  /** Of each session, before the first round. */
  readonly warmUpRuns: number;
  /** In each of them every session runs once. */
  readonly rounds: number;
}

/** Times of each session, by round. */
export async function interleavedTimesMs(
  sessions: readonly Session[],
  { warmUpRuns, rounds }: Rounds,
): Promise<number[][]> {
  const feeds = sessions.map(feedsOf);
  for (const [i, session] of sessions.entries()) {
    for (let run = 0; run < warmUpRuns; run++) await session.run(feeds[i] ?? {});
  }
  const times = sessions.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const i of turns(round, sessions.length)) {
      const start = performance.now();
      await (sessions[i] as Session).run(feeds[i] ?? {});
      times[i]?.push(performance.now() - start);
    }
  }
  return times;
}

/** The order of a round. What ran before leaves its traces in the caches: no session always follows the same one. */
export function turns(round: number, count: number): number[] {
  const steps = Array.from({ length: count }, (_, i) => i + 1).filter((step) => coprime(step, count));
  const step = steps[round % steps.length] ?? 1;
  return Array.from({ length: count }, (_, turn) => (turn * step + round) % count);
}

function coprime(a: number, b: number): boolean {
  return b === 0 ? a === 1 : coprime(b, a % b);
}

/** The same noise in 0..1 for every session of a network: how long a kernel takes does not depend on it. */
export function feedsOf({ inputs }: Pick<Session, "inputs">): Record<string, Tensor> {
  return Object.fromEntries(
    inputs.map(({ name, shape }) => {
      const dims = shape.map((dim, axis) => (typeof dim === "number" ? dim : axis === 0 ? 1 : 224));
      const size = dims.reduce((product, dim) => product * dim, 1);
      const data = gaussian(size, 11, 0.4).map((x) => Math.min(1, Math.abs(x)));
      return [name, { dtype: "float32", shape: dims, data } as const];
    }),
  );
}
