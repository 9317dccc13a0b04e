// What Ctrl-C and SIGTERM mean to a command: the end of the program, unless it has something to save. Which signal came,
// and from where, is told by run-program.ts; nothing else listens to signals.

/** Exit codes as shells have them. */
export const INTERRUPTIONS = { SIGINT: 130, SIGTERM: 143 } as const;
export type Interruption = keyof typeof INTERRUPTIONS;

/** What is said where a signal ends the program. */
export const INTERRUPTED = "interrupted; no file was left half-written\n";

/** Called with what came. */
export type InterruptionListener = (name: Interruption) => void;

export interface Interruptible<T> {
  readonly result: T;
  /** 130 or 143 where a signal came; null where none did. */
  readonly exitCode: number | null;
}

let listener: InterruptionListener = () => undefined;

/** Who is told of the next signal, instead of who was told until now, which is returned. */
export function onInterruption(next: InterruptionListener): InterruptionListener {
  const before = listener;
  listener = next;
  return before;
}

/** A signal came. */
export function interrupt(name: Interruption): void {
  listener(name);
}

/**
 * Runs `work` with a signal that the first SIGINT or SIGTERM aborts; the next one is for whom it was for before, and so
 * is every one after the work.
 *
 * @param onFirst called with the first one
 */
export async function interruptible<T>(
  work: (signal: AbortSignal) => Promise<T>,
  onFirst: () => void,
): Promise<Interruptible<T>> {
  const controller = new AbortController();
  let exitCode: number | null = null;
  const before = onInterruption((name) => {
    onInterruption(before);
    exitCode = INTERRUPTIONS[name];
    onFirst();
    controller.abort();
  });
  try {
    const result = await work(controller.signal);
    return { result, exitCode };
  } finally {
    onInterruption(before);
  }
}
