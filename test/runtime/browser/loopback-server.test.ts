// Raw requests, because fetch tidies a path up before it sends it.

import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LoopbackServer } from "../../../src/runtime/browser/loopback-server.js";

let server: LoopbackServer;
let page: URL;
let token: string;
beforeAll(async () => {
  server = await LoopbackServer.start();
  page = new URL(server.urlOf("wasm"));
  token = page.pathname.split("/")[1] as string;
});
afterAll(() => server.close());

interface Raw {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

function raw(path: string, options: { method?: string; host?: string; extra?: string } = {}): Promise<Raw> {
  const { method = "GET", host = page.host, extra = "" } = options;
  return new Promise((resolve, reject) => {
    const socket = connect(Number(page.port), "127.0.0.1");
    const parts: Buffer[] = [];
    socket.on("data", (part) => parts.push(part));
    socket.on("error", reject);
    socket.on("close", () => {
      const text = Buffer.concat(parts).toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      resolve({ status: Number(text.split(" ")[1]), headers: text.slice(0, end), body: text.slice(end + 4) });
    });
    socket.write(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${extra}\r\n`);
  });
}

describe("the loopback server", () => {
  test("listens on 127.0.0.1, at a path that cannot be guessed", () => {
    expect(page.hostname).toBe("127.0.0.1");
    expect(token).toMatch(/^[0-9a-f]{32}$/);
  });

  test("gives each page its own token", async () => {
    const other = await LoopbackServer.start();
    expect(new URL(other.urlOf("wasm")).pathname).not.toBe(page.pathname);
    await other.close();
  });

  test("serves the page with the headers that isolate it and keep it to this server", async () => {
    const { status, headers } = await raw(page.pathname);
    expect(status).toBe(200);
    expect(headers).toMatch(/cross-origin-opener-policy: same-origin/i);
    expect(headers).toMatch(/cross-origin-embedder-policy: require-corp/i);
    expect(headers).toMatch(/content-security-policy: default-src 'none'; script-src 'self'/i);
  });

  test.each([
    "ort.wasm.bundle.min.mjs",
    "ort.webgpu.bundle.min.mjs",
    "wasm.mjs",
    "webgpu.mjs",
    "webgpu.html",
  ])("serves %s", async (name) => {
    const { status, body } = await raw(`/${token}/${name}`);
    expect(status).toBe(200);
    expect(body.length).toBeGreaterThan(60);
  });

  test("serves the WebAssembly as such", async () => {
    const { status, headers } = await raw(`/${token}/ort-wasm-simd-threaded.wasm`);
    expect(status).toBe(200);
    expect(headers).toMatch(/content-type: application\/wasm/i);
  });

  test.each([
    ["the root", "/"],
    ["the page without the token", "/wasm.html"],
    ["the page with another token", `/${"0".repeat(32)}/wasm.html`],
    ["the folder", "/TOKEN/"],
    ["a file of the package that no page needs", "/TOKEN/ort.all.bundle.min.mjs"],
    ["a path up", "/TOKEN/../package.json"],
    ["a path up from the package", "/TOKEN/../../../../../../etc/passwd"],
    ["an encoded path up", "/TOKEN/%2e%2e/%2e%2e/package.json"],
    ["an encoded slash", "/TOKEN/..%2f..%2fpackage.json"],
    ["a backslash", "/TOKEN/..\\package.json"],
    ["an absolute path", "/TOKEN//etc/passwd"],
    ["a null byte", "/TOKEN/wasm.html%00"],
    ["a query", "/TOKEN/wasm.html?x"],
    ["a name of every object", "/TOKEN/constructor"],
    ["data that nobody offered", "/TOKEN/data/999"],
  ])("refuses %s", async (_, path) => {
    expect((await raw(path.replace("TOKEN", token))).status).toBe(404);
  });

  test("refuses a request under another host's name, as after DNS rebinding", async () => {
    expect((await raw(page.pathname, { host: `evil.example:${page.port}` })).status).toBe(404);
    expect((await raw(page.pathname, { host: "localhost" })).status).toBe(404);
  });

  test.each(["POST", "PUT", "DELETE", "OPTIONS"])("refuses %s of a page and of a file", async (method) => {
    expect((await raw(page.pathname, { method })).status).toBe(405);
    expect((await raw(`/${token}/ort-wasm-simd-threaded.wasm`, { method })).status).toBe(405);
  });
});

const urlOf = (path: string): URL => new URL(path, page);

describe("bytes that are laid out", () => {
  test("are given once", async () => {
    const { path } = server.offer(Uint8Array.of(1, 2, 255));
    const response = await fetch(urlOf(path));
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(Uint8Array.of(1, 2, 255));
    expect((await fetch(urlOf(path))).status).toBe(404);
  });

  test("are gone when they are withdrawn", async () => {
    const { path, withdraw } = server.offer(Uint8Array.of(1));
    withdraw();
    expect((await fetch(urlOf(path))).status).toBe(404);
  });

  test("are not there for a POST", async () => {
    const { path, withdraw } = server.offer(Uint8Array.of(1));
    expect((await fetch(urlOf(path), { method: "POST", body: "x" })).status).toBe(405);
    withdraw();
  });
});

describe("results that are expected", () => {
  test("are received once", async () => {
    const expected = server.expect();
    expect(expected.received()).toBeNull();
    const url = urlOf(expected.path);
    const body = new Uint8Array(300_000).map((_, i) => i * 7);
    expect((await fetch(url, { method: "POST", body })).status).toBe(204);
    expect(Buffer.compare(expected.received() as Uint8Array, body)).toBe(0);
    expect((await fetch(url, { method: "POST", body })).status).toBe(404);
  });

  test.each([
    ["more than memory holds", "Content-Length: 99999999999\r\n", 413],
    ["no length", "Transfer-Encoding: chunked\r\n", 411],
  ])("are refused before anything is allocated when they announce %s", async (_, extra, status) => {
    const { path, received, withdraw } = server.expect();
    expect((await raw(path, { method: "POST", extra })).status).toBe(status);
    expect(received()).toBeNull();
    withdraw();
  });

  test("are not there for a GET", async () => {
    const { path, withdraw } = server.expect();
    expect((await fetch(urlOf(path))).status).toBe(405);
    withdraw();
  });
});
