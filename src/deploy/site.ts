// From a folder of exported files to a folder that any web server can serve. Everything is read, checked and put
// together before the first byte is written; the folder appears whole.

import { createHash } from "node:crypto";
import { readFile, realpath, stat } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { QdgError } from "../base/error.js";
import { formatBytes } from "../base/format-bytes.js";
import { noProgress, type Progress } from "../base/progress.js";
import {
  type KnownIntegers,
  MANIFEST_FILE,
  type Manifest,
  MANIFEST_VERSION,
  type ManifestFile,
  type ManifestModel,
  type ManifestRuntimeFile,
  parseManifest,
} from "../web/manifest.js";
import { type DeployedModels, type ModelChoices, readDeployedModels } from "./deployed-models.js";
import { formatHeaders, HEADERS_FILE, parseHeaders, siteHeaders } from "./headers.js";
import {
  builtPageFolder,
  isAlwaysLoaded,
  pageFiles,
  pageHtml,
  readPage,
  WORKER_SOURCE,
} from "./page-files.js";
import { filesOf, type PublishedFile, publishSite } from "./publish-site.js";
import { engineFiles, onnxruntimeFiles, type RuntimeFile } from "./runtime-files.js";
import { manifestClassifier, selfTestOf } from "./self-test.js";

export interface DeployOptions extends ModelChoices {
  /** Holds the .onnx files. */
  readonly folder: string;
  readonly to: string;
  /** Shown above the page; "What is in the picture?" or "A network" when absent. */
  readonly title?: string;
  /** `auto` (default): the engine, and ONNX Runtime for visitors who need it; `only`: no ONNX Runtime. */
  readonly engine?: "auto" | "only";
  /** Replace a folder that holds other things than a site of qdg. */
  readonly force?: boolean;
  /** The built page; that of the package when absent. */
  readonly pageFolder?: string;
}

/**
 * What a file is for: every visit (`page`), those that compute with the engine, or with ONNX Runtime on WebAssembly (`wasm`)
 * or WebGPU, a comparison that a visitor asks for, or the host alone.
 */
export type SiteRole = "page" | "engine" | "wasm" | "webgpu" | "compare" | "host";

export interface SiteFile {
  readonly path: string;
  readonly roles: readonly SiteRole[];
  readonly sizeBytes: number;
}

export interface DeployResult {
  readonly path: string;
  readonly files: readonly SiteFile[];
  readonly manifest: Manifest;
  /** What of the model the engine does not compute, so that visitors get ONNX Runtime; null where it computes all of it. */
  readonly refusedByEngine: string | null;
}

interface Content extends PublishedFile {
  readonly roles: readonly SiteRole[];
}

/** What refers to other files, each by its hash: put in place last, and in this order. */
const ENTRIES = [MANIFEST_FILE, "index.html", "sw.js"];

const DEFAULT_TITLES = { classifier: "What is in the picture?", network: "A network" } as const;

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
  const { contents, manifest, refusedByEngine } = await siteContents(models, page, options, progress);
  await publishSite(to, contents);
  const files = [...contents].map(([path, { roles, bytes }]) => ({ path, roles, sizeBytes: bytes.length }));
  return { path: options.to, files, manifest, refusedByEngine };
}

async function siteContents(
  { files, ...facts }: DeployedModels,
  page: ReadonlyMap<string, Uint8Array>,
  { engine = "auto", inputSize, folder, title }: DeployOptions,
  progress: Progress,
): Promise<Pick<DeployResult, "manifest" | "refusedByEngine"> & { contents: Map<string, Content> }> {
  // What only ONNX Runtime runs is left out with it.
  const models = { ...facts, files: files.filter(({ device }) => engine === "auto" || device === "wasm") };
  const { cases, integers, refusedByEngine } = await selfTestOf(models, inputSize, progress);
  if (engine === "only" && refusedByEngine !== null) {
    throw new QdgError(
      "unsupported-model",
      folder,
      `the engine does not compute it all: ${refusedByEngine}; leave --engine only out, so that visitors get ONNX Runtime`,
    );
  }
  const used: readonly RuntimeFile[] = [
    ...(refusedByEngine === null ? await engineFiles() : []),
    ...(engine === "auto" ? await onnxruntimeFiles(models.files.map(({ device }) => device)) : []),
  ];
  const contents = new Map<string, Content>();
  const put = (path: string, bytes: Uint8Array, roles: readonly SiteRole[]): ManifestFile => {
    contents.set(path, { roles, bytes, hashed: true });
    return { file: path, sha256: sha256Of(bytes), sizeBytes: bytes.length };
  };
  const modelEntries = models.files.map(({ device, sha256, bytes }, i): ManifestModel => {
    const kind = device === "webgpu" ? "model.webgpu" : "model";
    const roles = used.filter((file) => file.device === device).map(roleOf);
    const entry = put(`${kind}.${sha256.slice(0, 8)}.onnx`, bytes, [...new Set(roles)]);
    return { device, integers: integers[i] as KnownIntegers, ...entry };
  });
  const runtime = used.map((file): ManifestRuntimeFile => {
    const { engine: of, device, name, bytes } = file;
    const path = name.replace(/(\.[a-z]+)$/, `.${sha256Of(bytes).slice(0, 8)}$1`);
    return { engine: of, device, name, ...put(path, bytes, [roleOf(file)]) };
  });
  const manifest: Manifest = {
    version: MANIFEST_VERSION,
    models: modelEntries,
    float32:
      models.float32 &&
      put(`model.float32.${models.float32.sha256.slice(0, 8)}.onnx`, models.float32.bytes, ["compare"]),
    classifier: models.classifier && manifestClassifier(models.classifier),
    selfTest: { cases },
    runtime: { files: runtime },
  };
  const text = `${JSON.stringify(manifest)}\n`;
  // What a visitor's browser would refuse is refused here.
  parseManifest(text, MANIFEST_FILE);
  // The page names its manifest by the hash, so that no moment mixes a page and the manifest of another version.
  const manifestPath = MANIFEST_FILE.replace(/\.json$/, `.${sha256Of(text).slice(0, 8)}.json`);
  contents.set(manifestPath, { ...plain(text), hashed: true });
  contents.set(MANIFEST_FILE, { ...plain(text), roles: ["host"] });
  putPage(contents, page, models, { manifestPath, title, roles: new Set(used.map(roleOf)) });
  contents.set("sw.js", plain(serviceWorker(page, contents)));
  const paths = (hashed: boolean): string[] =>
    [...contents].filter(([, content]) => content.hashed === hashed).map(([path]) => path);
  const headers = formatHeaders(siteHeaders(paths(true), paths(false)));
  contents.set(HEADERS_FILE, { ...plain(headers), roles: ["host"] });
  for (const path of ENTRIES) {
    const entry = contents.get(path);
    if (!entry) throw new QdgError("internal", "the page", `has no ${path}`);
    contents.delete(path);
    contents.set(path, entry);
  }
  return { contents, manifest, refusedByEngine };
}

/** The page's html, and of what it refers to all but the scripts of runtimes that the site does not bring. */
function putPage(
  contents: Map<string, Content>,
  page: ReadonlyMap<string, Uint8Array>,
  { classifier, files }: DeployedModels,
  facts: {
    readonly manifestPath: string;
    readonly title: string | undefined;
    readonly roles: ReadonlySet<SiteRole>;
  },
): void {
  const kind = classifier ? "classifier" : "network";
  const { html, assets } = pageFiles(page, kind);
  for (const [path, { bytes, roles }] of assets) {
    if (!roles.some((role) => role === "page" || facts.roles.has(role))) continue;
    contents.set(path, { bytes, roles, hashed: path.startsWith("assets/") });
  }
  // As a server sends them. ONNX Runtime is loaded by few, and is not told of in the page's first line.
  const engine = [...contents].filter(
    ([path, { roles }]) =>
      (roles.includes("engine") || roles.includes("page")) &&
      /\.(js|wasm)$/.test(path) &&
      isAlwaysLoaded(path),
  );
  const sent = engine.reduce((sum, [, { bytes }]) => sum + brotliCompressSync(bytes).length, 0);
  const model = `Model ${formatBytes(files[0]?.bytes.length ?? 0)}`;
  contents.set(
    "index.html",
    plain(
      pageHtml(html, {
        title: facts.title ?? DEFAULT_TITLES[kind],
        labels: classifier?.labels ?? [],
        manifest: facts.manifestPath,
        sizes: facts.roles.has("engine") ? `${model}, engine ${formatBytes(sent)}` : model,
        preload: [...contents].flatMap(([path, { roles }]) =>
          roles.includes("engine") && isAlwaysLoaded(path) ? [path] : [],
        ),
      }),
    ),
  );
}

function roleOf({ engine, device }: RuntimeFile): "engine" | "wasm" | "webgpu" {
  return engine === "qdg" ? "engine" : device;
}

/** The built service worker with the site's files before it: other files, another worker, which browsers then install. */
function serviceWorker(
  page: ReadonlyMap<string, Uint8Array>,
  contents: ReadonlyMap<string, Content>,
): string {
  const source = page.get(WORKER_SOURCE);
  if (!source) throw new QdgError("internal", "the page", `has no ${WORKER_SOURCE}`);
  const files = [...contents].map(([path, { roles, bytes }]) => ({ path, roles, sha256: sha256Of(bytes) }));
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
  return { roles: ["page"], bytes, hashed: false };
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

function sha256Of(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}
