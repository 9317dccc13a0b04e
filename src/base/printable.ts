// Text that came from outside (names in files, values of options, words of other libraries) as people are shown it: on
// one line, without codes that a terminal obeys, and short. Never for data that programs read. Loads in browsers.

/** Characters of one piece of input that a message repeats at most. */
export const MAX_ECHO = 200;
/** All of a message but its place and code: what is our own in it never comes near. */
const MAX_MESSAGE = 800;

/** Control characters, line and paragraph separators, what reverses the direction of writing, half characters. */
const UNSAFE = /[\p{Cc}\p{Cs}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** The same text with line breaks as `\n`, every other character that is no writing as `\u001b`. */
export function escapeControls(text: string): string {
  return text.replace(UNSAFE, (character) => {
    if (character === "\n") return "\\n";
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** At most `most` characters: of longer text the beginning and the end, the end shorter, and how much there was. */
export function shorten(text: string, most: number = MAX_ECHO): string {
  if (text.length <= most) return text;
  const gap = `...(${text.length} characters)...`;
  const kept = Math.max(0, most - gap.length);
  const head = Math.ceil((kept * 2) / 3);
  return `${text.slice(0, head)}${gap}${text.slice(text.length - (kept - head))}`;
}

/** One piece of input: a name, a path, a value. */
export function printable(text: string, most: number = MAX_ECHO): string {
  // Cut first, since escaping makes text longer, and again.
  return shorten(escapeControls(shorten(text, most)), most);
}

/**
 * A sentence with pieces of input in it. Long words, and long runs within quotation marks, brackets or braces, are cut;
 * what they are cut from is not known here, so whoever puts text with blanks into a message quotes it.
 */
export function printableMessage(text: string): string {
  // Far more than is kept of any message, so that megabytes are not searched.
  const whole = escapeControls(shorten(text, 20 * MAX_MESSAGE));
  const pieces = whole
    .replace(/"[^"]{200,}"|\[[^\]]{200,}\]|\{[^}]{200,}\}/g, (piece) => shorten(piece))
    .replace(/[^\s]{201,}/g, (word) => shorten(word));
  return shorten(pieces, MAX_MESSAGE);
}

/** The same for a text of several lines, such as a table or a report. */
export function printableLines(text: string): string {
  return text.split("\n").map(printableMessage).join("\n");
}
