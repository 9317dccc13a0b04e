import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { formatHeaders, siteHeaders } from "../../src/deploy/headers.js";
import { pathOf, serveSite, serveSiteWithin, type SiteServer } from "../../src/deploy/static-server.js";
import { runCli } from "../support/run-cli.js";
import { temporaryFolder } from "../support/deployed-site.js";

const PAGE = `<!doctype html><title>t</title>${"<p>text</p>".repeat(300)}`;
let root: string;
let site: string;
let server: SiteServer;

interface Reply {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Buffer;
}

/** The path goes over the wire as it is: `fetch` would tidy it. */
function get(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port: server.port, path, headers, method }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    });
    sent.on("error", reject);
    sent.end();
  });
}

beforeAll(async () => {
  root = await temporaryFolder();
  site = join(root, "site");
  await mkdir(join(site, "assets"), { recursive: true });
  await writeFile(join(root, "secret.txt"), "secret");
  await mkdir(join(root, "site-other"));
  await writeFile(join(root, "site-other", "x.txt"), "secret");
  await writeFile(join(site, "index.html"), PAGE);
  await writeFile(join(site, "sw.js"), "// worker");
  await writeFile(join(site, "run.wasm"), new Uint8Array(5000));
  await writeFile(join(site, "assets", "a-1.js"), "1;".repeat(2000));
  await writeFile(join(site, ".hidden"), "secret");
  await symlink(join(root, "secret.txt"), join(site, "link.txt"));
  await symlink(join(root, "site-other"), join(site, "linked"));
  await writeFile(
    join(site, "_headers"),
    formatHeaders(siteHeaders(["assets/a-1.js"], ["index.html", "sw.js"])),
  );
  server = await serveSite(site, 0);
});

afterAll(async () => {
  await server.close();
  await rm(root, { recursive: true });
});

test("a folder is its index.html, with the headers of _headers and the right type", async () => {
  const { status, headers, body } = await get("/");
  expect(status).toBe(200);
  expect(body.toString()).toBe(PAGE);
  expect(headers).toMatchObject({
    "content-type": "text/html; charset=utf-8",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cache-control": "no-cache",
  });
  expect(headers["content-security-policy"]).toContain("script-src 'self' 'wasm-unsafe-eval'");
});

test.each([
  ["/assets/a-1.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"],
  ["/sw.js", "text/javascript; charset=utf-8", "no-cache"],
  ["/run.wasm", "application/wasm", "no-cache"],
])("%s is %s, cached %s", async (path, type, caching) => {
  const { headers } = await get(path);
  expect(headers["content-type"]).toBe(type);
  expect(headers["cache-control"]).toBe(caching);
});

describe("nothing outside the folder is read", () => {
  test.each([
    "/../secret.txt",
    "/assets/../../secret.txt",
    "/%2e%2e/secret.txt",
    "/..%2fsecret.txt",
    "/%2e%2e%2fsite-other/x.txt",
    "/..%5csecret.txt",
    "/..\\secret.txt",
    "//etc/passwd",
    "/link.txt",
    "/linked/x.txt",
    "/.hidden",
    "/_headers",
    "/%00",
    "/%zz",
    "/sw.js%00.html",
    "http://127.0.0.1/../secret.txt",
    "*",
  ])("%s", async (path) => {
    const { status, body } = await get(path);
    expect([400, 404]).toContain(status);
    expect(body.toString()).not.toContain("secret");
  });

  test("dots within a name are no way out", () => {
    expect(pathOf("/model.webgpu.12345678.onnx")).toBe("/model.webgpu.12345678.onnx");
    expect(pathOf("/a..b")).toBe("/a..b");
    expect(pathOf("/a/../b")).toBe(null);
  });
});

test("there is no list of files, no other method, and what is missing is 404 with the policy", async () => {
  expect((await get("/assets/")).status).toBe(404);
  expect((await get("/assets")).status).toBe(404);
  const missing = await get("/nothing");
  expect(missing.status).toBe(404);
  expect(missing.headers["content-security-policy"]).toBeDefined();
  const post = await get("/", {}, "POST");
  expect(post.status).toBe(405);
  expect(post.headers["allow"]).toBe("GET, HEAD");
});

test("brotli goes before gzip where both are taken, neither where none is or it saves nothing", async () => {
  const br = await get("/", { "accept-encoding": "gzip, deflate, br" });
  expect(br.headers["content-encoding"]).toBe("br");
  expect(brotliDecompressSync(br.body).toString()).toBe(PAGE);
  const gzip = await get("/", { "accept-encoding": "gzip, br;q=0" });
  expect(gzip.headers["content-encoding"]).toBe("gzip");
  expect(gunzipSync(gzip.body).toString()).toBe(PAGE);
  expect((await get("/")).headers["content-encoding"]).toBeUndefined();
  expect((await get("/sw.js", { "accept-encoding": "br" })).headers["content-encoding"]).toBeUndefined();
  expect(br.headers["vary"]).toBe("Accept-Encoding");
});

test("HEAD has the headers of GET and no body, and a known ETag gets 304", async () => {
  const whole = await get("/");
  const head = await get("/", {}, "HEAD");
  expect(head.body).toHaveLength(0);
  expect(head.headers["content-length"]).toBe(String(whole.body.length));
  const known = await get("/", { "if-none-match": String(whole.headers["etag"]) });
  expect(known.status).toBe(304);
  expect(known.body).toHaveLength(0);
});

test("a port in use is an error that names the remedy, and port 0 takes a free one", async () => {
  const other = createServer();
  const port = await new Promise<number>((resolve) => {
    other.listen(0, "127.0.0.1", () => resolve((other.address() as { port: number }).port));
  });
  await expect(serveSite(site, port)).rejects.toThrow(
    /in use; give another with --port, or --port 0 .* \[unavailable\]/,
  );
  const { code, stderr } = await runCli("serve", site, "--port", String(port));
  other.close();
  expect(code).toBe(1);
  expect(stderr).toContain("--port 0");
  expect(server.port).toBeGreaterThan(0);
});

test.each([
  ["a folder without a site", "site-other"],
  ["a folder that is not there", "nowhere"],
])("%s is refused with the command that makes one", async (_, name) => {
  await expect(serveSite(join(root, name), 0)).rejects.toThrow(/is no site .*qdg deploy .* \[not-found\]/);
});

test.each(["-1", "65536", "x", "1.5", ""])("port %j is wrong usage", async (port) => {
  expect((await runCli("serve", site, `--port=${port}`)).code).toBe(2);
});

test("the server listens on this machine alone", () => {
  expect(server.url).toBe(`http://127.0.0.1:${server.port}/`);
});

test("closing ends connections that are open", async () => {
  const own = await serveSite(site, 0);
  const kept = await fetch(own.url, { headers: { connection: "keep-alive" } });
  await kept.text();
  await own.close();
  await expect(fetch(own.url)).rejects.toThrow(/fetch failed/);
});

test.each([
  ["example.org", 421],
  ["example.org:8080", 421],
  ["127.0.0.1.example.org", 421],
  ["localhost.example.org", 421],
  ["192.168.0.1", 421],
  ["localhost", 200],
  ["LOCALHOST:9000", 200],
  ["127.0.0.1:1", 200],
  ["127.1.2.3", 200],
  ["[::1]:8080", 200],
])("a request for the host %j gets %i", async (host, status) => {
  const reply = await get("/", { host });
  expect(reply.status).toBe(status);
  expect(reply.body.includes("<title>")).toBe(status === 200);
});

/** Asks for a file and reads nothing of it. */
function slowReader(port: number, path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      socket.pause();
      resolve(socket);
    });
    socket.on("error", reject);
  });
}

describe("what slow readers hold is bounded", () => {
  const SIZE = 2 ** 25;
  beforeAll(() => writeFile(join(site, "large.onnx"), Buffer.alloc(SIZE, "0123456789abcdef")));
  afterAll(() => rm(join(site, "large.onnx")));

  test("in memory: twenty who read nothing of a large file take little, and one who reads gets it whole", async () => {
    const before = process.memoryUsage().arrayBuffers;
    const readers = await Promise.all(
      Array.from({ length: 20 }, () => slowReader(server.port, "/large.onnx")),
    );
    const { status, body, headers } = await get("/large.onnx");
    const held = process.memoryUsage().arrayBuffers - before - body.length;
    for (const reader of readers) reader.destroy();
    expect([status, headers["content-length"], body.length]).toEqual([200, String(SIZE), SIZE]);
    expect(body.equals(Buffer.alloc(SIZE, "0123456789abcdef"))).toBe(true);
    // Pieces of 64 kB in flight, and what the other reader has not collected yet; whole files would be 670 MB.
    expect(held).toBeLessThan(4 * SIZE);
  });

  test("in time: a connection that stands still is closed, and so is an answer that takes too long", async () => {
    for (const limits of [
      { connections: 10, idleMs: 200, answerMs: 60_000 },
      { connections: 10, idleMs: 60_000, answerMs: 200 },
    ]) {
      const own = await serveSiteWithin(site, 0, limits);
      const reader = await slowReader(own.port, "/large.onnx");
      let received = 0;
      await new Promise<void>((resolve) => {
        setTimeout(() => {
          reader.on("data", (part) => (received += part.length));
          reader.on("close", () => resolve());
          reader.resume();
        }, 1000);
      });
      expect(received).toBeLessThan(SIZE);
      await own.close();
    }
  });

  test("in number: connections beyond the bound are closed, and are taken again once others end", async () => {
    const own = await serveSiteWithin(site, 0, { connections: 3, idleMs: 60_000, answerMs: 60_000 });
    const readers = await Promise.all([1, 2, 3].map(() => slowReader(own.port, "/large.onnx")));
    await expect(fetch(own.url)).rejects.toThrow("fetch failed");
    await new Promise((resolve) => readers[0]?.on("close", resolve).destroy());
    await vi.waitFor(async () => expect((await fetch(own.url)).status).toBe(200), 10_000);
    for (const reader of readers) reader.destroy();
    await own.close();
  });
});

test("a file that is replaced while it is sent arrives as it was", async () => {
  const path = join(site, "model.onnx");
  await writeFile(path, Buffer.alloc(2 ** 24, 1));
  const reading = new Promise<Buffer>((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port: server.port, path: "/model.onnx" }, (response) => {
      const chunks: Buffer[] = [];
      response.pause();
      void writeFile(`${path}.new`, Buffer.alloc(100, 2))
        .then(() => rename(`${path}.new`, path))
        .then(() => response.resume(), reject);
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve(Buffer.concat(chunks)));
    });
    sent.on("error", reject);
    sent.end();
  });
  expect((await reading).equals(Buffer.alloc(2 ** 24, 1))).toBe(true);
  expect((await get("/model.onnx")).body).toHaveLength(100);
  await rm(path);
});
