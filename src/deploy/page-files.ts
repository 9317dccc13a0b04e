// The page as it was built, and what is written into it for one model: its title and a row for each class. All
// text that comes out of a model is escaped, since a label may hold anything.

import { readdir, readFile, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { join, relative, sep } from "node:path";
import { errorText, QdgError } from "../base/error.js";
import { MANIFEST_FILE } from "../web/manifest.js";

/** Classes shown; of more the most probable ones are. */
export const MOST_ROWS = 10;

/** The built page's own service worker, which is no file of a site until the site's files are written into it. */
export const WORKER_SOURCE = "service-worker.js";

/** Where `npm run build` puts the page: beside this file's folder in dist, or in dist when run from src. */
export async function builtPageFolder(): Promise<string> {
  const places = ["../page/", "../../dist/page/"].map((place) =>
    fileURLToPath(new URL(place, import.meta.url)),
  );
  for (const place of places) {
    const found = await stat(join(place, "index.html")).catch(() => null);
    if (found?.isFile()) return place;
  }
  throw new QdgError(
    "unavailable",
    "the page",
    "was not built; npm run build in qdg's own folder builds it, or install the package again",
  );
}

/** All files of the built page by path, with `/`. @throws QdgError `io` */
export async function readPage(folder: string): Promise<Map<string, Uint8Array>> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const paths = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    return new Map(
      await Promise.all(
        paths
          .sort()
          .map(async (path) => [relative(folder, path).split(sep).join("/"), await readFile(path)] as const),
      ),
    );
  } catch (thrown) {
    throw new QdgError("io", folder, `the page cannot be read: ${errorText(thrown)}`, { cause: thrown });
  }
}

/**
 * index.html of one model: `<!--qdg:title-->`, `<!--qdg:rows-->` and the manifest's name replaced. Rows are there before any script
 * runs, so that nothing moves when results come.
 *
 * @throws QdgError `internal` for a page without these places
 */
export function pageHtml(
  template: string,
  title: string,
  labels: readonly string[],
  manifest: string,
): string {
  const few = labels.length <= MOST_ROWS;
  const rows = labels.slice(0, MOST_ROWS).map((label) => row(few ? label : ""));
  return [
    ["<!--qdg:title-->", escapeHtml(title)],
    ["<!--qdg:rows-->", rows.join("\n")],
    [`"./${MANIFEST_FILE}"`, `"./${escapeHtml(manifest)}"`],
  ].reduce((html, [mark = "", text = ""]) => {
    if (!html.includes(mark)) throw new QdgError("internal", "index.html", `has no ${mark}`);
    return html.replaceAll(mark, () => text);
  }, template);
}

function row(label: string): string {
  const text = escapeHtml(label);
  return `<li><span class="name" title="${text}">${text}</span><span class="bar"><span></span></span><span class="share">&ndash;</span></li>`;
}

function escapeHtml(text: string): string {
  const names: Readonly<Record<string, string>> = { "&": "amp", "<": "lt", ">": "gt", '"': "quot" };
  return text.replaceAll(/[&<>"]/g, (character) => `&${names[character]};`);
}
