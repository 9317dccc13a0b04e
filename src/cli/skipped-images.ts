// Says once of each image that it was left out, for commands that may read their data more than once.

import type { BrokenImage } from "../image/folder.js";
import { tell, type Terminal } from "./terminal.js";

export function skippedImages(terminal: Terminal): (broken: BrokenImage) => void {
  const told = new Set<string>();
  return ({ entry, reason }) => {
    if (told.has(entry.path)) return;
    told.add(entry.path);
    tell(terminal.stderr, `skipped ${entry.path}: ${reason}\n`);
  };
}
