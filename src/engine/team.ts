// Threads that compute parts of one kernel's call over shared memory. They sleep between calls; whoever calls computes a
// part too, and what a thread does not finish in time.

import { type EngineModules, instantiate, type Kernels } from "./module.js";
import type { WasmMemory } from "./web-assembly.js";

/** A kernel whose first arguments are windows, places and how many positions there are. */
type Split = (...call: number[]) => void;

/** What a thread is started with. */
export interface ThreadTask {
  /** For shared memory. */
  readonly modules: EngineModules;
  readonly memory: WasmMemory;
  readonly control: SharedArrayBuffer;
  readonly slot: number;
}

/** Threads beside the caller's own. */
export interface Threads {
  readonly count: number;
  /** For shared memory. */
  readonly modules: EngineModules;
  /** @returns once the thread serves @throws QdgError `unavailable` where none can be started */
  spawn(task: ThreadTask): Promise<void>;
}

/** Integers at the front of the control memory, and then the calls of the threads. */
const GENERATION = 0;
const OPEN = 1;
const STOPPED = 2;
const CALLS = 3;
/** A kernel's number and its arguments. */
const SLOT = 16;

/** Products below which a call is done before a thread wakes. */
const LEAST_PRODUCTS = 200_000;
/** How long a thread looks out for the next layer before it sleeps: waking takes longer than most layers do. */
const AWAKE_MS = 0.1;
/** A thread that is this late is taken for dead, and its part is computed by the caller. */
const LATE_MS = 2000;

/** The kernels whose work falls into positions, in the order of their numbers, and how many they take at a time. */
const SPLIT = [
  ["convolution", 2],
  ["convolutionPairs", 4],
  ["convolutionOnce", 4],
  ["convolutionEach", 4],
  ["convolutionQuads", 6],
  ["depthwise", 1],
  ["depthwisePairs", 2],
  ["depthwiseOnce", 2],
  ["depthwiseQuads", 1],
] as const;
const FIRST_DEPTHWISE = 5;

/** null for what the machine has not. */
function splitKernels(kernels: Kernels): readonly (Split | null)[] {
  const all = { ...kernels, ...kernels.pairs, ...kernels.quads } as unknown as Record<string, Split>;
  return SPLIT.map(([name]) => all[name] ?? null);
}

/** A thread's life: computes its calls until it is stopped. @param ready called before it waits for the first */
export async function serve(task: ThreadTask, ready: () => void): Promise<void> {
  const kernels = splitKernels(await instantiate(task.modules, task.memory));
  const control = new Int32Array(task.control);
  const at = CALLS + SLOT * task.slot;
  ready();
  let seen = 0;
  for (;;) {
    if (!happens(() => Atomics.load(control, GENERATION) !== seen, AWAKE_MS)) {
      Atomics.wait(control, GENERATION, seen);
    }
    const generation = Atomics.load(control, GENERATION);
    if (Atomics.load(control, STOPPED) === 1) return;
    if (generation === seen) continue;
    seen = generation;
    const kernel = kernels[Atomics.load(control, at)];
    if (kernel) kernel(...control.subarray(at + 1, at + SLOT));
    Atomics.sub(control, OPEN, 1);
  }
}

export interface Team {
  readonly kernels: Kernels;
  stop(): void;
}

/** Starts threads; the same kernels, their calls shared among the caller and them. */
export async function startTeam(kernels: Kernels, memory: WasmMemory, threads: Threads): Promise<Team> {
  const shared = new SharedArrayBuffer(4 * (CALLS + SLOT * threads.count));
  const { modules } = threads;
  const starting = Array.from({ length: threads.count }, (_, slot) =>
    threads.spawn({ modules, memory, control: shared, slot }),
  );
  const control = new Int32Array(shared);
  try {
    await Promise.all(starting);
  } catch (thrown) {
    stopTeam(control);
    throw thrown;
  }
  return { kernels: withTeam(kernels, control, threads.count), stop: () => stopTeam(control) };
}

function withTeam(kernels: Kernels, control: Int32Array, threads: number): Kernels {
  let isWhole = true;
  const shared = splitKernels(kernels).map((kernel, number): Split | null => {
    if (!kernel) return null;
    const [, multiple] = SPLIT[number] ?? [null, 1];
    return (...call) => {
      const [windows = 0, places = 0, positions = 0] = call;
      const size = Math.ceil(positions / (threads + 1) / multiple) * multiple;
      if (!isWhole || positions <= size || positions * productsOf(number, call) < LEAST_PRODUCTS) {
        kernel(...call);
        return;
      }
      const part = (i: number): number[] => {
        const first = Math.min(i * size, positions);
        return [windows + 4 * first, places + 4 * first, Math.min(size, positions - first), ...call.slice(3)];
      };
      for (let i = 0; i < threads; i++) {
        const own = part(i + 1);
        const at = CALLS + SLOT * i;
        // Nothing for this one: a number that no kernel has.
        control[at] = (own[2] as number) > 0 ? number : -1;
        control.set(own, at + 1);
      }
      Atomics.store(control, OPEN, threads);
      Atomics.add(control, GENERATION, 1);
      Atomics.notify(control, GENERATION);
      kernel(...part(0));
      if (happens(() => Atomics.load(control, OPEN) === 0, LATE_MS)) return;
      isWhole = false;
      for (let i = 1; i <= threads; i++) if ((part(i)[2] as number) > 0) kernel(...part(i));
    };
  });
  const named = Object.fromEntries(SPLIT.map(([name], i) => [name, shared[i]]));
  return {
    ...kernels,
    ...named,
    pairs: kernels.pairs && named,
    quads: kernels.quads && { ...kernels.quads, ...named },
  } as unknown as Kernels;
}

/** Ends the threads. */
function stopTeam(control: Int32Array): void {
  Atomics.store(control, STOPPED, 1);
  Atomics.add(control, GENERATION, 1);
  Atomics.notify(control, GENERATION);
}

/** Products of one position, roughly. */
function productsOf(number: number, call: readonly number[]): number {
  const [, , , channels = 0, , blocks = 0, , steps = 0, pairs = 0] = call;
  return number >= FIRST_DEPTHWISE ? channels * pairs * 2 : blocks * steps * 32;
}

/** Waits without sleeping, which a page's own thread may not: whether it comes about within so many milliseconds. */
function happens(isSo: () => boolean, withinMs: number): boolean {
  const began = performance.now();
  for (;;) {
    for (let spin = 0; spin < 1000; spin++) if (isSo()) return true;
    if (performance.now() - began > withinMs) return false;
  }
}
