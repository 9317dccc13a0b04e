// Ctrl-C for commands that have something to save: the first one asks them to stop, the second one stops the
// program as it stops every other command.

export interface Interruptible<T> {
  readonly result: T;
  /** 130 or 143 where a signal came, as shells have it; null where none did. */
  readonly exitCode: number | null;
}

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
type Interruption = keyof typeof EXIT_CODES;

/**
 * Runs `work` with a signal that the first SIGINT or SIGTERM aborts; what listened to them before is back then, and
 * after the work.
 *
 * @param onFirst called with the first one
 */
export async function interruptible<T>(
  work: (signal: AbortSignal) => Promise<T>,
  onFirst: () => void,
): Promise<Interruptible<T>> {
  const controller = new AbortController();
  let exitCode: number | null = null;
  const names = Object.keys(EXIT_CODES) as Interruption[];
  const before = new Map(names.map((name) => [name, process.listeners(name)]));
  const restore = (): void => {
    for (const [name, listeners] of before) {
      process.removeListener(name, first);
      for (const listener of listeners) {
        if (!process.listeners(name).includes(listener)) process.on(name, listener);
      }
    }
  };
  const first = (name: NodeJS.Signals): void => {
    exitCode = EXIT_CODES[name as Interruption];
    restore();
    onFirst();
    controller.abort();
  };
  for (const [name, listeners] of before) {
    for (const listener of listeners) process.removeListener(name, listener);
    process.on(name, first);
  }
  try {
    const result = await work(controller.signal);
    return { result, exitCode };
  } finally {
    restore();
  }
}
