// The known name that somebody who wrote an unknown one most likely meant.

/** null where none is near. */
export function nearestName(unknown: string, known: readonly string[]): string | null {
  const wanted = plain(unknown);
  let best: { readonly name: string; readonly distance: number } | null = null;
  for (const name of known) {
    const distance = editDistance(wanted, plain(name));
    if (!best || distance < best.distance) best = { name, distance };
  }
  // More wrong letters than these, and the name is another word.
  const most = Math.max(1, Math.floor(wanted.length / 3));
  return best && best.distance <= most ? best.name : null;
}

/** `test-domain`, `test_domain` and `testDomain` are one name. */
function plain(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, "")
    .slice(0, 64);
}

/** Letters put in, taken out or replaced (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
