// A promise that is settled from outside, once.

export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

export function deferred<T>(): Deferred<T> {
  let settle: Omit<Deferred<T>, "promise"> | null = null;
  const promise = new Promise<T>((resolve, reject) => (settle = { resolve, reject }));
  // The function above has run by now.
  return { promise, ...(settle as unknown as Omit<Deferred<T>, "promise">) };
}
