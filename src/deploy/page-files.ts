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

/** The html of each kind of page in the built folder; of a site it is index.html. */
const TEMPLATES = { classifier: "index.html", network: "network.html" } as const;

/** Scripts that only visits with one runtime load, by the name of the module that Vite makes them of. */
const RUNTIME_SCRIPTS: readonly (readonly [script: RegExp, roles: PageFile["roles"]])[] = [
  [/^assets\/(engine|operators|team)-/, ["engine"]],
  [/^assets\/ort\.wasm\./, ["wasm"]],
  [/^assets\/ort\.webgpu\./, ["webgpu"]],
  [/^assets\/ort-web-/, ["wasm", "webgpu"]],
];

/** Scripts of the engine that few visits load: for threads that are asked for, for operators that few networks have. */
const RARE_SCRIPTS = /^assets\/(engine-thread|operators|team)-/;

/** Whether every visit loads a file that has its role, and not just some of them. */
export function isAlwaysLoaded(path: string): boolean {
  return !RARE_SCRIPTS.test(path);
}

export interface PageFile {
  readonly bytes: Uint8Array;
  /** Who needs it: every visit, or those with the engine, or with ONNX Runtime on WebAssembly or on WebGPU. */
  readonly roles: readonly ("page" | "engine" | "wasm" | "webgpu")[];
}

/** The html of one kind of page, and what that and its scripts refer to. */
export function pageFiles(
  page: ReadonlyMap<string, Uint8Array>,
  kind: keyof typeof TEMPLATES,
): { readonly html: string; readonly assets: ReadonlyMap<string, PageFile> } {
  const template = page.get(TEMPLATES[kind]);
  if (!template) throw new QdgError("internal", "the page", `has no ${TEMPLATES[kind]}`);
  const html = new TextDecoder("utf-8", { fatal: true }).decode(template);
  const others = [...page].filter(([path]) => !path.endsWith(".html") && path !== WORKER_SOURCE);
  const assets = new Map<string, PageFile>();
  const takeNamedIn = (text: string): void => {
    for (const [path, bytes] of others) {
      const name = path.split("/").at(-1) ?? path;
      if (assets.has(path) || !text.includes(name)) continue;
      const [, roles] = RUNTIME_SCRIPTS.find(([script]) => script.test(path)) ?? [];
      assets.set(path, { bytes, roles: roles ?? ["page"] });
    }
  };
  takeNamedIn(html);
  // The loop reaches what it adds.
  for (const { bytes } of assets.values()) takeNamedIn(new TextDecoder().decode(bytes));
  return { html, assets };
}

export interface PageTexts {
  readonly title: string;
  /** Of a classifier; none: the template has no rows. */
  readonly labels: readonly string[];
  /** The manifest's path. */
  readonly manifest: string;
  /** What is loaded, in a few words. */
  readonly sizes: string;
  /** Files that most visits need, which the browser is to fetch before the script asks for them. */
  readonly preload: readonly string[];
}

/**
 * index.html of one model: `<!--qdg:title-->`, `<!--qdg:sizes-->`, `<!--qdg:preload-->`, the manifest's name and, for classes,
 * `<!--qdg:rows-->` replaced. They are there before any script runs, so that nothing moves when results come.
 *
 * @throws QdgError `internal` for a page without these places
 */
export function pageHtml(template: string, { title, labels, manifest, sizes, preload }: PageTexts): string {
  const few = labels.length <= MOST_ROWS;
  const rows = labels.slice(0, MOST_ROWS).map((label) => row(few ? label : ""));
  return [
    ["<!--qdg:title-->", escapeHtml(title)],
    ["<!--qdg:sizes-->", escapeHtml(sizes)],
    ["<!--qdg:preload-->", [manifest, ...preload].map(preloadLink).join("\n")],
    ...(labels.length > 0 ? [["<!--qdg:rows-->", rows.join("\n")]] : []),
    [`"./${MANIFEST_FILE}"`, `"./${escapeHtml(manifest)}"`],
  ].reduce((html, [mark = "", text = ""]) => {
    if (!html.includes(mark)) throw new QdgError("internal", "the page", `has no ${mark}`);
    return html.replaceAll(mark, () => text);
  }, template);
}

function preloadLink(path: string): string {
  const how = path.endsWith(".js") ? 'rel="modulepreload"' : 'rel="preload" as="fetch" crossorigin';
  return `<link ${how} href="./${escapeHtml(path)}" />`;
}

function row(label: string): string {
  const text = escapeHtml(label);
  return `<li><span class="name" title="${text}">${text}</span><span class="bar"><span></span></span><span class="share">&ndash;</span></li>`;
}

function escapeHtml(text: string): string {
  const names: Readonly<Record<string, string>> = { "&": "amp", "<": "lt", ">": "gt", '"': "quot" };
  return text.replaceAll(/[&<>"]/g, (character) => `&${names[character]};`);
}
