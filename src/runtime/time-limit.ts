// A limit for a wait that cannot be cancelled: drivers and browsers hang. Only the waiting ends; the work goes on
// unseen, so whoever shares a device with it must be told.

/** What `work` becomes, or the error `late()` when that takes longer than `limitMs`. */
export async function within<T>(limitMs: number, work: Promise<T>, late: () => Error): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), limitMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
