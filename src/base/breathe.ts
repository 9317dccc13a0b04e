// Lets timers, messages and signals have their turn while this process computes. For Node.

/** Half of what a person, or a process that asks, may have to wait: one piece of work comes on top. */
const DUE_MS = 50;

let last = performance.now();

/**
 * Hands back to the event loop where it has not had a turn for 50 ms, else goes on at once. For long loops: once a piece of
 * work (a node, a sample, a layer).
 */
export async function breathe(): Promise<void> {
  if (performance.now() - last < DUE_MS) return;
  await new Promise((resolve) => setImmediate(resolve));
  last = performance.now();
}
