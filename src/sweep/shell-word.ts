// Text as one word of a POSIX shell, whatever is in it.

/** @throws RangeError for a NUL, which no program can be given */
export function shellWord(text: string): string {
  if (text.includes("\0")) throw new RangeError("a word of a shell cannot hold a NUL");
  return /^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
