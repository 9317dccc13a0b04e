// From a folder of exported files to a folder that any web server can serve. Everything is read, checked and put
// together before the first byte is written; the folder appears whole.

import { createHash } from "node:crypto";
import { readFile, realpath, stat } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { QdgError } from "../base/error.js";
import { noProgress, type Progress } from "../base/progress.js";
import { preprocessingToJson } from "../image/preprocessing.js";
import {
  type KnownIntegers,
  MANIFEST_FILE,
  type Manifest,
  MANIFEST_VERSION,
  type ManifestModel,
  parseManifest,
} from "../web/manifest.js";
import { type DeployedModels, type ModelChoices, readDeployedModels } from "./deployed-models.js";
import { formatHeaders, HEADERS_FILE, parseHeaders, siteHeaders } from "./headers.js";
import { builtPageFolder, pageHtml, readPage, WORKER_SOURCE } from "./page-files.js";
import { filesOf, type PublishedFile, publishSite } from "./publish-site.js";
import { runtimeFiles } from "./runtime-files.js";
import { selfTestOf } from "./self-test.js";

export interface DeployOptions extends ModelChoices {
  /** Holds the .onnx files. */
  readonly folder: string;
  readonly to: string;
  /** Shown above the page; "What is in the picture?" when absent. */
  readonly title?: string;
  /** Replace a folder that holds other things than a site of qdg. */
  readonly force?: boolean;
  /** The built page; that of the package when absent. */
  readonly pageFolder?: string;
}

/** What a file is for. The page loads those of its device, and those of `page` always. */
export type SiteRole = "page" | "wasm" | "webgpu" | "host";

export interface SiteFile {
  readonly path: string;
  readonly role: SiteRole;
  readonly sizeBytes: number;
}

export interface DeployResult {
  readonly path: string;
  readonly files: readonly SiteFile[];
  readonly manifest: Manifest;
}

interface Content extends PublishedFile {
  readonly role: SiteRole;
}

/** What refers to other files, each by its hash: put in place last, and in this order. */
const ENTRIES = [MANIFEST_FILE, "index.html", "sw.js"];

const DEFAULT_TITLE = "What is in the picture?";

/**
 * Writes the site of a model.
 *
 * @throws QdgError `exists` for a folder that holds something else; what readDeployedModels and selfTestOf throw;
 * nothing is changed then
 */
export async function deploySite(
  options: DeployOptions,
  progress: Progress = noProgress,
): Promise<DeployResult> {
  const to = await targetFolder(options);
  const models = await readDeployedModels(options.folder, options);
  const page = await readPage(options.pageFolder ?? (await builtPageFolder()));
  const { contents, manifest } = await siteContents(models, page, options.title ?? DEFAULT_TITLE, progress);
  await publishSite(to, contents);
  const files = [...contents].map(([path, { role, bytes }]) => ({ path, role, sizeBytes: bytes.length }));
  return { path: options.to, files, manifest };
}

async function siteContents(
  models: DeployedModels,
  page: ReadonlyMap<string, Uint8Array>,
  title: string,
  progress: Progress,
): Promise<{ contents: Map<string, Content>; manifest: Manifest }> {
  const contents = new Map<string, Content>();
  for (const { device, sha256, bytes } of models.files) {
    const kind = device === "webgpu" ? "model.webgpu" : "model";
    contents.set(`${kind}.${sha256.slice(0, 8)}.onnx`, { role: device, bytes, hashed: true });
  }
  const entryOf = (path: string): { file: string; sha256: string; sizeBytes: number } => {
    const { bytes } = contents.get(path) as Content;
    return { file: path, sha256: sha256Of(bytes), sizeBytes: bytes.length };
  };
  const { cases, integers } = await selfTestOf(models, progress);
  const modelEntries: ManifestModel[] = [...contents.keys()].map((path, i) =>
    Object.assign(
      { device: models.files[i]?.device ?? "wasm", integers: integers[i] as KnownIntegers },
      entryOf(path),
    ),
  );
  const runtime = [];
  for (const { name, device, bytes } of await runtimeFiles(models.files.map((file) => file.device))) {
    const path = name.replace(/(\.[a-z]+)$/, `.${sha256Of(bytes).slice(0, 8)}$1`);
    contents.set(path, { role: device, bytes, hashed: true });
    runtime.push({ name, ...entryOf(path) });
  }
  const { height, width, channels, layout, preprocessing } = models.input;
  const manifest: Manifest = {
    version: MANIFEST_VERSION,
    models: modelEntries,
    labels: models.labels,
    preprocessing: preprocessingToJson(preprocessing),
    input: { name: models.inputName, height, width, channels, layout },
    output: models.output,
    selfTest: { cases },
    runtime: { files: runtime },
  };
  const text = `${JSON.stringify(manifest)}\n`;
  // What a visitor's browser would refuse is refused here.
  parseManifest(text, MANIFEST_FILE);
  // The page names its manifest by the hash, so that no moment mixes a page and the manifest of another version.
  const manifestPath = MANIFEST_FILE.replace(/\.json$/, `.${sha256Of(text).slice(0, 8)}.json`);
  contents.set(manifestPath, { ...plain(text), hashed: true });
  contents.set(MANIFEST_FILE, { ...plain(text), role: "host" });
  for (const [path, bytes] of page) {
    if (path === WORKER_SOURCE) continue;
    const content =
      path === "index.html" ? pageHtml(decode(bytes), title, models.labels, manifestPath) : bytes;
    contents.set(path, { ...plain(content), hashed: path.startsWith("assets/") });
  }
  contents.set("sw.js", plain(serviceWorker(page, contents)));
  const paths = (hashed: boolean): string[] =>
    [...contents].filter(([, content]) => content.hashed === hashed).map(([path]) => path);
  const headers = formatHeaders(siteHeaders(paths(true), paths(false)));
  contents.set(HEADERS_FILE, { ...plain(headers), role: "host" });
  for (const path of ENTRIES) {
    const entry = contents.get(path);
    if (!entry) throw new QdgError("internal", "the page", `has no ${path}`);
    contents.delete(path);
    contents.set(path, entry);
  }
  return { contents, manifest };
}

/** The built service worker with the site's files before it: other files, another worker, which browsers then install. */
function serviceWorker(
  page: ReadonlyMap<string, Uint8Array>,
  contents: ReadonlyMap<string, Content>,
): string {
  const source = page.get(WORKER_SOURCE);
  if (!source) throw new QdgError("internal", "the page", `has no ${WORKER_SOURCE}`);
  const files = [...contents].map(([path, { role, bytes }]) => ({ path, role, sha256: sha256Of(bytes) }));
  const site = JSON.stringify({ version: sha256Of(JSON.stringify(files)).slice(0, 16), files });
  return `self.qdgSite = ${site};\n${decode(source)}`;
}

/** Where the site goes, links followed. @throws QdgError `usage`, `exists` or `io` */
async function targetFolder({ folder, to, force = false }: DeployOptions): Promise<string> {
  const found = await stat(to).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === "ENOENT") return null;
    throw new QdgError("io", to, `cannot be looked at: ${thrown.message}`, { cause: thrown });
  });
  const path = found ? await realpath(to) : resolve(to);
  const kept = [await realpath(folder).catch(() => resolve(folder)), process.cwd()];
  const lost = kept.find((each) => each === path || each.startsWith(path + sep));
  if (lost !== undefined || dirname(path) === path) {
    throw new QdgError("usage", "--to", `${to} would replace ${lost ?? path}; give another folder`);
  }
  if (!found) return path;
  if (!found.isDirectory()) throw new QdgError("io", to, "is a file, expected the name of a folder");
  const foreign = force ? null : await foreignFile(path);
  if (foreign === null) return path;
  throw new QdgError(
    "exists",
    to,
    `holds ${foreign}, which qdg deploy did not write; give another folder, or --force to replace it all`,
  );
}

/** A file that no earlier site of qdg put there; null when there is none. */
async function foreignFile(folder: string): Promise<string | null> {
  const paths = await filesOf(folder);
  if (paths.length === 0) return null;
  const own = new Set([HEADERS_FILE]);
  try {
    parseManifest(await readFile(join(folder, MANIFEST_FILE), "utf8"), MANIFEST_FILE);
    const rules = parseHeaders(await readFile(join(folder, HEADERS_FILE), "utf8"), HEADERS_FILE);
    for (const rule of rules) own.add(rule.path.slice(1));
  } catch {
    return paths[0] ?? null;
  }
  return paths.find((path) => !own.has(path)) ?? null;
}

function plain(content: Uint8Array | string): Content {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return { role: "page", bytes, hashed: false };
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

function sha256Of(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}
