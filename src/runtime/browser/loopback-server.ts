// The web server that the page is loaded from: 127.0.0.1 only, a random port, a random token in every path. It
// serves a fixed list of files and the bytes that Node lays out; no path of a request ever reaches the disk.

import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { decodeFrame, encodeFrame } from "./frame.js";
import { makeHarness } from "./page-harness.js";

export const PAGE_KINDS = ["wasm", "webgpu", "engine"] as const;
export type PageKind = (typeof PAGE_KINDS)[number];

/** What a page loads, per kind: the module of the runtime and its WebAssembly; where they are. */
const PAGE_FILES: {
  readonly [Kind in PageKind]: {
    readonly module: string;
    readonly wasm: readonly string[];
    readonly folder: () => string;
  };
} = {
  wasm: { module: "ort.wasm.bundle.min.mjs", wasm: ["ort-wasm-simd-threaded.wasm"], folder: ortFolder },
  webgpu: {
    module: "ort.webgpu.bundle.min.mjs",
    wasm: ["ort-wasm-simd-threaded.asyncify.wasm"],
    folder: ortFolder,
  },
  engine: { module: "page-engine.mjs", wasm: ["simd.wasm", "relaxed.wasm"], folder: engineFolder },
};

/** Results larger than this are refused before they are received; WebAssembly's memory ends at 4 GiB. */
const MOST_RESULT_BYTES = 2 ** 32;

/** Isolation gives the page threads; the policy keeps it to this server. */
const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; worker-src 'self'",
  "X-Content-Type-Options": "nosniff",
} as const;

/** Bytes laid out for one GET, at a path from the origin's root. */
export interface Offered {
  readonly path: string;
  /** Takes them away unread. */
  readonly withdraw: () => void;
}

/** One POST to come, at a path from the origin's root. */
export interface Expected {
  readonly path: string;
  /** Its body; null before it has come whole. */
  readonly received: () => Uint8Array | null;
  readonly withdraw: () => void;
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export class LoopbackServer {
  readonly #server: Server;
  readonly #origin: string;
  readonly #prefix = `/${randomBytes(16).toString("hex")}/`;
  /** By path; what is not here is 404. */
  readonly #answers = new Map<string, Answer>();
  #count = 0;

  private constructor(server: Server) {
    this.#server = server;
    this.#origin = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (request: IncomingMessage, response: ServerResponse) =>
      this.#answer(request, response),
    );
    for (const kind of PAGE_KINDS) this.#servePage(kind);
  }

  /** @throws Error of Node when no port can be had */
  static async start(): Promise<LoopbackServer> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    // The browser is what keeps a program running; a server without one must not.
    server.unref();
    return new LoopbackServer(server);
  }

  urlOf(kind: PageKind): string {
    return `http://${this.#origin}${this.#prefix}${kind}.html`;
  }

  /** Lays out bytes for one GET. */
  offer(bytes: Uint8Array): Offered {
    const path = this.#newPath();
    const withdraw = (): void => void this.#answers.delete(path);
    this.#answers.set(path, (request, response) => {
      if (request.method !== "GET") return refuse(response, 405);
      withdraw();
      sendBytes(response, "application/octet-stream", bytes);
    });
    return { path, withdraw };
  }

  /** Opens a path to one POST. */
  expect(): Expected {
    const path = this.#newPath();
    let body: Uint8Array | null = null;
    const withdraw = (): void => void this.#answers.delete(path);
    this.#answers.set(path, (request, response) => {
      const sizeBytes = Number(request.headers["content-length"] ?? NaN);
      if (request.method !== "POST") return refuse(response, 405);
      if (!Number.isSafeInteger(sizeBytes)) return refuse(response, 411);
      if (sizeBytes > MOST_RESULT_BYTES) return refuse(response, 413);
      withdraw();
      const buffer = new Uint8Array(sizeBytes);
      let at = 0;
      request.on("data", (chunk: Buffer) => {
        buffer.set(chunk, at);
        at += chunk.length;
      });
      request.on("end", () => {
        if (at !== sizeBytes) return refuse(response, 400);
        body = buffer;
        response.writeHead(204, HEADERS).end();
      });
    });
    return { path, received: () => body, withdraw };
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  #newPath(): string {
    return `${this.#prefix}data/${this.#count++}`;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    // A page of another site could reach this port under a name of its own (DNS rebinding), never under ours.
    const answer = request.headers.host === this.#origin ? this.#answers.get(request.url ?? "") : undefined;
    request.on("error", () => response.destroy());
    if (answer === undefined) refuse(response, 404);
    else answer(request, response);
  }

  #servePage(kind: PageKind): void {
    const { module, wasm, folder } = PAGE_FILES[kind];
    this.#serveText(
      `${kind}.html`,
      "text/html",
      `<!doctype html><script type="module" src="${kind}.mjs"></script>`,
    );
    this.#serveText(
      `${kind}.mjs`,
      "text/javascript",
      `import * as ort from "./${module}";
globalThis.qdg = (${makeHarness.toString()})(ort, ${encodeFrame.toString()}, ${decodeFrame.toString()});`,
    );
    this.#serveFile(module, "text/javascript", () => join(folder(), module));
    for (const name of wasm) this.#serveFile(name, "application/wasm", () => join(folder(), name));
  }

  #serveText(name: string, type: string, text: string): void {
    this.#answers.set(this.#prefix + name, (request, response) => {
      if (request.method !== "GET") return refuse(response, 405);
      response.writeHead(200, { ...HEADERS, "Content-Type": `${type}; charset=utf-8` }).end(text);
    });
  }

  #serveFile(name: string, type: string, file: () => string): void {
    // Kept in memory for the pages to come. The browser keeps nothing: its cache in memory is too small for
    // these files, and of two pages that load one at a time it then fails the second.
    let read: Promise<Buffer> | undefined;
    this.#answers.set(this.#prefix + name, (request, response) => {
      if (request.method !== "GET") return refuse(response, 405);
      read ??= (async () => readFile(file()))();
      read.then(
        (bytes) => sendBytes(response, type, bytes),
        () => refuse(response, 404),
      );
    });
  }
}

function sendBytes(response: ServerResponse, type: string, bytes: Uint8Array): void {
  response.writeHead(200, {
    ...HEADERS,
    "Content-Type": type,
    "Content-Length": bytes.byteLength,
    "Cache-Control": "no-store",
  });
  response.end(bytes);
}

function refuse(response: ServerResponse, status: number): void {
  // The rest of a body that is not wanted is not read either.
  response.writeHead(status, { ...HEADERS, Connection: "close" }).end();
}

/** The folder of the installed onnxruntime-web with its modules for browsers. */
function ortFolder(): string {
  const require = createRequire(import.meta.url);
  return dirname(require.resolve("onnxruntime-web/ort-wasm-simd-threaded.wasm"));
}

/** Where `npm run build` puts the engine's kernels and its page: the same number of folders up from src and dist. */
function engineFolder(): string {
  return fileURLToPath(new URL("../../../dist/engine/", import.meta.url));
}
