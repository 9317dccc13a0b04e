// Makes the second visit work offline. Keeps the files of one version of the site, each checked against its hash,
// and of runtimes and models only what a visit uses. Never mixes two versions.

interface SiteEntry {
  readonly path: string;
  /** Who needs it: the page, or a visit that computes with one runtime. */
  readonly roles: readonly string[];
  readonly sha256: string;
}

/** Parts of a service worker's global scope that are used here; the DOM's types have no such scope. */
interface WorkerScope {
  /** Written before this script by `qdg deploy`. */
  readonly qdgSite: { readonly version: string; readonly files: readonly SiteEntry[] };
  readonly registration: { readonly scope: string };
  skipWaiting(): Promise<void>;
  addEventListener(type: "install" | "activate", listener: (event: Waiting) => void): void;
  addEventListener(type: "fetch", listener: (event: Fetching) => void): void;
  addEventListener(type: "message", listener: (event: Waiting & MessageEvent) => void): void;
}

interface Waiting {
  waitUntil(work: Promise<unknown>): void;
}

interface Fetching {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

/** What a page asks of its worker. */
type Order = { readonly keep: string } | { readonly activate: true };

const scope = self as unknown as WorkerScope;
const { files, version } = scope.qdgSite;
const { scope: base } = scope.registration;
// Caches belong to an origin, which may hold several sites.
const prefix = `qdg ${base} `;
const cacheName = prefix + version;
/** For one file to keep: 27 MB at 45 kB/s. */
const FETCH_LIMIT_MS = 600_000;

scope.addEventListener("install", (event) => event.waitUntil(install()));
scope.addEventListener("activate", (event) => event.waitUntil(removeOthers()));
scope.addEventListener("fetch", (event) => {
  const entry = entryOf(event.request);
  if (entry) event.respondWith(answer(event.request, entry));
});
scope.addEventListener("message", (event) => {
  const order = event.data as Order;
  if ("activate" in order) return event.waitUntil(scope.skipWaiting());
  const reply = (message: unknown): void => event.ports[0]?.postMessage(message);
  event.waitUntil(
    keep([order.keep]).then(
      () => reply({ kept: true }),
      (thrown: unknown) => reply({ kept: false, reason: String(thrown) }),
    ),
  );
});

/** Whose binary a file is, by its name. */
const BINARIES: readonly (readonly [role: string, name: RegExp])[] = [
  ["engine", /\/qdg-simd\.[^/]*\.wasm$/],
  ["webgpu", /\.asyncify\.[^/]*\.wasm$/],
  ["wasm", /\/ort-wasm-simd-threaded\.[0-9a-f]+\.wasm$/],
];

/** The page's files, and those of the runtimes that an earlier version kept files for. */
async function install(): Promise<void> {
  const kept = new Set(["page"]);
  for (const cache of await otherCaches()) {
    for (const { url } of await cache.keys()) {
      for (const [role, name] of BINARIES) if (name.test(url)) kept.add(role);
    }
  }
  await keep([...kept]);
}

async function keep(roles: readonly string[]): Promise<void> {
  const cache = await caches.open(cacheName);
  const others = await otherCaches();
  for (const entry of files) {
    const url = new URL(entry.path, base).href;
    if (!entry.roles.some((role) => roles.includes(role)) || (await cache.match(url))) continue;
    await cache.put(url, await fetched(url, entry, others));
  }
}

/** A file out of an earlier version, if it is the same one, or from the server; with the hash it must have. */
async function fetched(
  url: string,
  { path, sha256 }: SiteEntry,
  others: readonly Cache[],
): Promise<Response> {
  for (const cache of others) {
    const known = await cache.match(url);
    if (known && (await sha256Of(known.clone())) === sha256) return known;
  }
  const response = await fetch(url, { cache: "no-cache", signal: AbortSignal.timeout(FETCH_LIMIT_MS) });
  if (!response.ok) throw new Error(`${path}: got status ${response.status}, expected the file`);
  const got = await sha256Of(response.clone());
  if (got !== sha256) throw new Error(`${path}: got sha256 ${got}, expected ${sha256}`);
  return response;
}

async function sha256Of(response: Response): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await response.arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function entryOf(request: Request): SiteEntry | undefined {
  const url = request.url.split(/[?#]/, 1)[0] ?? "";
  if (request.method !== "GET" || !url.startsWith(base)) return undefined;
  const path = url.slice(base.length) || "index.html";
  return files.find((entry) => entry.path === path);
}

async function answer(request: Request, { path }: SiteEntry): Promise<Response> {
  const cache = await caches.open(cacheName);
  return (await cache.match(new URL(path, base).href)) ?? fetch(request);
}

async function otherCaches(): Promise<Cache[]> {
  const names = (await caches.keys()).filter((name) => name.startsWith(prefix) && name !== cacheName);
  return Promise.all(names.map((name) => caches.open(name)));
}

async function removeOthers(): Promise<void> {
  const names = (await caches.keys()).filter((name) => name.startsWith(prefix) && name !== cacheName);
  await Promise.all(names.map((name) => caches.delete(name)));
}
