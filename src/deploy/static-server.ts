// Serves a deployed site on this machine, for a look at it before it goes to a host. Listens on 127.0.0.1 only, answers
// to names of this machine only, never reads a file outside its folder, whatever a request or a symbolic link says, and
// holds no file in memory for a reader that is slow.

import { createHash } from "node:crypto";
import { type FileHandle, open, readFile, realpath, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { errorText, QdgError } from "../base/error.js";
import { HEADERS_FILE, type HeaderRule, headersOf, parseHeaders } from "./headers.js";

export interface SiteServer {
  /** `http://127.0.0.1:8080/` */
  readonly url: string;
  readonly port: number;
  /** Ends open connections too. */
  close(): Promise<void>;
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".webmanifest": "application/manifest+json; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
  ".md": "text/markdown; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".wasm": "application/wasm",
  ".onnx": "application/octet-stream",
};
const PACKED = new Set([".png"]);
/** Below, an encoding saves no packet; above, loopback carries a file faster than it is compressed. */
const LEAST_COMPRESSED = 1000;
const MOST_COMPRESSED = 4_000_000;

type Encoding = "br" | "gzip";

/** Bounds of what clients hold. A visit takes six connections and some seconds. */
export interface ServerLimits {
  readonly connections: number;
  /** Without a byte read or written. */
  readonly idleMs: number;
  /** For one answer: 27 MB at 45 kB/s. */
  readonly answerMs: number;
}

const LIMITS: ServerLimits = { connections: 100, idleMs: 30_000, answerMs: 600_000 };
/** Compressed files and hashes that are remembered: more than a site has. */
const MOST_REMEMBERED = 1000;

/** A file that is open, so that what is sent is what was hashed, whatever takes its name meanwhile. */
interface OpenFile {
  readonly handle: FileHandle;
  readonly sizeBytes: number;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string | OpenFile;
}

interface Site {
  readonly root: string;
  readonly rules: readonly HeaderRule[];
  /** By ETag and encoding: the same bytes are compressed once, and shared by all who read them. */
  readonly compressed: Map<string, Uint8Array>;
  /** ETag by file, size and time. */
  readonly etags: Map<string, string>;
}

/**
 * Starts a server for `folder` on 127.0.0.1.
 *
 * @param port 0 takes any free one
 * @throws QdgError `not-found` for a folder without index.html; `invalid-data` for a broken `_headers`; `unavailable`
 * for a port in use or not allowed
 */
export function serveSite(folder: string, port: number): Promise<SiteServer> {
  return serveSiteWithin(folder, port, LIMITS);
}

/** serveSite with other bounds. */
export async function serveSiteWithin(
  folder: string,
  port: number,
  limits: ServerLimits,
): Promise<SiteServer> {
  const site = await openSite(folder);
  const server = createServer((request, response) => {
    const late = setTimeout(() => response.destroy(), limits.answerMs);
    response.once("close", () => clearTimeout(late));
    answer(site, request)
      .catch((thrown: unknown) => text(500, `the file cannot be read: ${errorText(thrown)}\n`))
      .then((result) => send(request, response, result))
      .catch(() => response.destroy());
  });
  server.maxConnections = limits.connections;
  // A connection that stands still is closed, also in the middle of an answer that nobody reads.
  server.setTimeout(limits.idleMs);
  await listen(server, port);
  const { port: actual } = server.address() as AddressInfo;
  // The first visitor does not wait for what the time until then is enough for.
  void compressAll(site, server);
  return {
    url: `http://127.0.0.1:${actual}/`,
    port: actual,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function openSite(folder: string): Promise<Site> {
  let root: string;
  try {
    root = await realpath(folder);
    if (!(await stat(join(root, "index.html"))).isFile()) throw new Error("index.html is no file");
  } catch (thrown) {
    throw new QdgError(
      "not-found",
      folder,
      `is no site (${errorText(thrown)}); make one with qdg deploy <folder with .onnx files> --to ${folder}`,
      { cause: thrown },
    );
  }
  const path = join(root, HEADERS_FILE);
  const rules = await readFile(path, "utf8").catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === "ENOENT") return "";
    throw new QdgError("io", path, `cannot be read: ${errorText(thrown)}`, { cause: thrown });
  });
  return { root, rules: parseHeaders(rules, path), compressed: new Map(), etags: new Map() };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (thrown: NodeJS.ErrnoException) => {
      const what =
        thrown.code === "EADDRINUSE"
          ? "the port is in use; give another with --port, or --port 0 for any free one"
          : `cannot be listened on: ${errorText(thrown)}; give another with --port`;
      reject(new QdgError("unavailable", `127.0.0.1:${port}`, what, { cause: thrown }));
    });
    server.listen(port, "127.0.0.1", () => resolve());
  });
}

async function answer(site: Site, request: IncomingMessage): Promise<Answer> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return text(405, "only GET and HEAD are answered\n", { Allow: "GET, HEAD" });
  }
  const { host } = request.headers;
  if (!isThisMachine(host)) {
    const got = host === undefined ? "none" : `"${host.slice(0, 100)}"`;
    return text(421, `the Host header is ${got}; this server answers to localhost and 127.0.0.1\n`);
  }
  const path = pathOf(request.url ?? "/");
  if (path === null) return text(400, "the path is not one of this site\n");
  const headers = headersOf(site.rules, path);
  const file = await fileOf(site.root, path);
  if (file === null) return text(404, "there is no such file\n", headers);
  const handle = await open(file);
  let sends = false;
  try {
    const { etag, sizeBytes } = await identityOf(site, file, handle);
    const type = TYPES[extname(file).toLowerCase()] ?? "application/octet-stream";
    const all = { "Cache-Control": "no-cache", ...headers, ETag: etag, Vary: "Accept-Encoding" };
    if (request.headers["if-none-match"]?.includes(etag)) return { status: 304, headers: all, body: "" };
    const encoding = PACKED.has(extname(file)) ? null : encodingOf(request.headers["accept-encoding"]);
    const packed = encoding && (await compressed(site, { handle, sizeBytes }, etag, encoding));
    sends = !packed;
    return {
      status: 200,
      headers: { ...all, "Content-Type": type, ...(packed && encoding && { "Content-Encoding": encoding }) },
      body: packed ?? { handle, sizeBytes },
    };
  } finally {
    if (!sends) await handle.close();
  }
}

/** A page of another origin can have its own name lead to 127.0.0.1, and would read the answers. */
function isThisMachine(host: string | undefined): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i.test(host ?? "");
}

/** The hash of what is in the file, in pieces, since a model may be large; once as long as the file stays the same. */
async function identityOf(
  site: Site,
  file: string,
  handle: FileHandle,
): Promise<{ readonly etag: string; readonly sizeBytes: number }> {
  const { size, mtimeMs, ino } = await handle.stat();
  const key = `${file} ${ino} ${size} ${mtimeMs}`;
  let etag = site.etags.get(key);
  if (etag === undefined) {
    const hash = createHash("sha256");
    for await (const piece of handle.createReadStream({ start: 0, autoClose: false })) hash.update(piece);
    etag = `"${hash.digest("hex").slice(0, 32)}"`;
    remember(site.etags, key, etag);
  }
  return { etag, sizeBytes: size };
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  if (map.size >= MOST_REMEMBERED) map.clear();
  map.set(key, value);
}

/** The decoded path of a request; null for one that steps out of the site or hides what it says. */
export function pathOf(url: string): string | null {
  let path: string;
  try {
    path = decodeURIComponent(url.split(/[?#]/, 1)[0] ?? "");
  } catch {
    return null;
  }
  if (!path.startsWith("/") || /[\\\0]/.test(path)) return null;
  const parts = path.split("/").slice(1);
  if (parts.some((part) => part.startsWith(".") || part.includes(":"))) return null;
  return parts.slice(0, -1).includes("") ? null : path;
}

/** The file of a path, index.html for a folder; null where there is none, or where it lies outside the root. */
async function fileOf(root: string, path: string): Promise<string | null> {
  // The host's own file is no part of the site.
  if (path === `/${HEADERS_FILE}`) return null;
  try {
    const file = await realpath(join(root, ...path.split("/"), path.endsWith("/") ? "index.html" : ""));
    return file.startsWith(root + sep) && (await stat(file)).isFile() ? file : null;
  } catch {
    return null;
  }
}

/** Brotli before gzip, whichever the client takes; null for neither. */
function encodingOf(accepted: string | string[] | undefined): Encoding | null {
  const names = new Map(
    String(accepted ?? "")
      .split(",")
      .map((part) => part.trim().split(/\s*;\s*q=/i))
      .map(([name = "", quality = "1"]) => [name.toLowerCase(), Number(quality)]),
  );
  if ((names.get("br") ?? 0) > 0) return "br";
  return (names.get("gzip") ?? 0) > 0 ? "gzip" : null;
}

async function compressed(
  site: Site,
  { handle, sizeBytes }: OpenFile,
  etag: string,
  encoding: Encoding,
): Promise<Uint8Array | null> {
  if (sizeBytes < LEAST_COMPRESSED || sizeBytes > MOST_COMPRESSED) return null;
  const key = `${encoding} ${etag}`;
  let packed = site.compressed.get(key);
  if (packed === undefined) {
    const bytes = Buffer.alloc(sizeBytes);
    const { bytesRead } = await handle.read(bytes, 0, sizeBytes, 0);
    if (bytesRead < sizeBytes) return null;
    packed =
      encoding === "br"
        ? await promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } })
        : await promisify(gzip)(bytes);
    remember(site.compressed, key, packed);
  }
  return packed.length < 0.9 * sizeBytes ? packed : null;
}

/** The files that the site's headers name, one after the other, until the server is closed. */
async function compressAll(site: Site, server: Server): Promise<void> {
  for (const { path } of site.rules) {
    if (!server.listening) return;
    // A file that cannot be read is its visitor's to hear of.
    if (!path.endsWith("*") && !PACKED.has(extname(path)))
      await compressFile(site, path).catch(() => undefined);
  }
}

async function compressFile(site: Site, path: string): Promise<void> {
  const file = await fileOf(site.root, path);
  if (file === null) return;
  const handle = await open(file);
  try {
    const { etag, sizeBytes } = await identityOf(site, file, handle);
    await compressed(site, { handle, sizeBytes }, etag, "br");
  } finally {
    await handle.close();
  }
}

function text(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return {
    status,
    headers: { ...headers, "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store" },
    body,
  };
}

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, headers, body }: Answer,
): Promise<void> {
  const file = typeof body === "object" && "handle" in body ? body : null;
  const sizeBytes = file ? file.sizeBytes : Buffer.byteLength(body as Uint8Array | string);
  response.writeHead(status, { ...headers, ...(status !== 304 && { "Content-Length": sizeBytes }) });
  if (!file) {
    response.end(request.method === "HEAD" ? undefined : body);
    return;
  }
  try {
    if (request.method === "HEAD" || sizeBytes === 0) response.end();
    // No more is read than the client takes. A file that grows meanwhile is sent as long as it was.
    else
      await pipeline(
        file.handle.createReadStream({ start: 0, end: sizeBytes - 1, autoClose: false }),
        response,
      );
  } finally {
    await file.handle.close();
  }
}
