// The calls of one object until it is disposed of: those that were made before go on to their end, whatever they
// wait for, and none begins after. Knows nothing of what they do.

import { QdgError } from "../base/error.js";

export interface Calls {
  /** Begins a call. @throws QdgError `runtime` once the object is being disposed of; what `work` throws */
  begin<T>(work: () => Promise<T>): Promise<T>;
  /** Frees what the calls use, after the last of them. A second time does nothing. */
  end(free: () => Promise<void>): Promise<void>;
}

/** @param where the object, for messages */
export function callsOf(where: string): Calls {
  const pending = new Set<Promise<unknown>>();
  let ending: Promise<void> | null = null;
  return {
    async begin(work) {
      if (ending !== null) throw new QdgError("runtime", where, "the model was disposed of; load it again");
      const call = work();
      pending.add(call);
      try {
        return await call;
      } finally {
        pending.delete(call);
      }
    },
    end(free) {
      ending ??= Promise.allSettled(pending).then(free);
      return ending;
    },
  };
}
