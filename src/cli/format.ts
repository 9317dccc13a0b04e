// Numbers as people read them.

/** 0.4125 -> "41.3 %"; "-" for what was not measured. */
export function formatPercent(share: number | null): string {
  return share === null ? "-" : `${(100 * share).toFixed(1)} %`;
}

/** 42 -> "42 s", 3900 -> "1 h 05 min". */
export function formatDuration(seconds: number): string {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}
