import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { startOrtWeb } from "../../src/runtime/ort-web.js";
import type { Platform } from "../../src/web/device.js";
import { fetchFile } from "../../src/web/fetch-file.js";
import { errorOf, GPU, machine, NO_GPU, sessions, onnxruntimeLoadOn as loadOn } from "./machine.js";
import { pathsOf, serve, shapesSite } from "./site.js";
import type { Site, TestServer } from "./site.js";

/** Sessions that the GPU was asked for, and what it makes of them: by default nothing, for ever. */
let creations = 0;
let create: () => Promise<object>;
const never = (): Promise<never> => new Promise(() => undefined);
vi.mock("onnxruntime-web/webgpu", () => ({
  env: { wasm: {}, versions: {} },
  Tensor: Object,
  InferenceSession: {
    create: () => {
      creations++;
      return create();
    },
  },
}));

let site: Site;
let server: TestServer;
const paths = new Map<string, Uint8Array | string>();
const stalls = new Set<string>();

beforeAll(async () => {
  site = await shapesSite(false);
  server = await serve(paths, {}, stalls);
});
afterAll(() => server.close());
beforeEach(() => {
  creations = 0;
  create = never;
  server.requests.length = 0;
  sessions.opened = 0;
  sessions.disposed = 0;
});

/** Serves the site in a folder, by default without the runtime's 14 MB. */
function place(folder: string, manifest: unknown = { ...site.manifest, runtime: { files: [] } }): string {
  for (const [path, body] of pathsOf(site, folder, manifest)) paths.set(path, body);
  return `${server.url}${folder}/`;
}

/** Until `ready`, with the clock standing still. */
const until = async (isReady: () => boolean): Promise<void> => {
  while (!isReady()) await new Promise((resolve) => void setImmediate(resolve));
};

/** A build of the runtime that nothing has hung yet. */
async function freshBuild(files: object): ReturnType<typeof startOrtWeb> {
  vi.resetModules();
  const module = await import("../../src/runtime/ort-web.js");
  return module.startOrtWeb("webgpu", { files: async () => files });
}
/** What a promise is rejected with; of a fresh build, whose QdgError is another class. */
const messageOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(() => "nothing thrown", String);

describe("a wait has a limit", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  test.each(["manifest.json", "model.onnx", "ort-wasm-simd-threaded.wasm"])(
    "a download of %s that stalls is an error",
    async (file) => {
      const url = place("silent", site.manifest);
      stalls.add(`silent/${file}`);
      let missing = Infinity;
      const loading = errorOf(
        loadOn(machine(NO_GPU), url, {
          onProgress: ({ loadedBytes, totalBytes }) => (missing = (totalBytes ?? Infinity) - loadedBytes),
        }),
      );
      // All that will ever come has come: all other files, and 1000 bytes of this one.
      const silent = site.files.get(file)?.length ?? 0;
      await until(() => (silent === 0 ? server.requests.length > 0 : missing === silent - 1000));
      await vi.advanceTimersByTimeAsync(40_000);
      const error = await loading;
      stalls.delete(`silent/${file}`);
      expect(error.code).toBe("io");
      expect(error.message).toContain(`silent/${file}: cannot be fetched: not a byte came in 30 s`);
      expect(sessions.opened).toBe(0);
    },
  );

  test("a download that is slow and moves goes on", async () => {
    const bytes = Uint8Array.from({ length: 6 }, (_, i) => i);
    let sent = 0;
    const body = new ReadableStream<Uint8Array>(
      {
        pull: (controller) =>
          new Promise((resolve) => {
            setTimeout(() => {
              controller.enqueue(bytes.subarray(sent, ++sent));
              if (sent === bytes.length) controller.close();
              resolve();
            }, 29_000);
          }),
      },
      { highWaterMark: 0 },
    );
    vi.stubGlobal("fetch", async () => new Response(body));
    const fetching = fetchFile({
      url: "http://slow.test/model.onnx",
      size: { bound: "=", bytes: 6 },
      sha256: null,
      cache: null,
      signal: undefined,
    });
    await vi.advanceTimersByTimeAsync(6 * 29_000);
    expect(await fetching).toEqual(bytes);
  });

  const bytes = new Uint8Array(1);

  test("a run that never ends is an error, so is every call after it, and closing waits for nothing", async () => {
    create = async () => ({ inputMetadata: [], outputMetadata: [], run: never, release: never });
    const build = await freshBuild({ wasm: bytes });
    const session = await build.open(bytes, "model");
    const [running, queued] = [messageOf(session.run({})), messageOf(session.run({}))];
    await vi.advanceTimersByTimeAsync(60_000);
    for (const each of [running, queued, messageOf(session.run({})), messageOf(build.open(bytes, "other"))]) {
      expect(await each).toContain("model: a run did not end in 60 s");
    }
    await session.dispose();
  });

  test("a session has more time when the browser itself fetches the binary for it", async () => {
    const build = await freshBuild({});
    let isOver = false;
    const opening = messageOf(build.open(bytes, "model")).finally(() => (isOver = true));
    await vi.advanceTimersByTimeAsync(599_000);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1000);
    expect(await opening).toContain("opening a session did not end in 600 s");
  });

  test("a GPU that never makes the session is left for wasm, now and at the next load", async () => {
    const fake = machine(GPU);
    const hanging: Platform = {
      ...fake,
      start: (runtime, options) =>
        runtime.device === "wasm"
          ? fake.start(runtime, options)
          : startOrtWeb(runtime.device, { files: async () => ({ wasm: new Uint8Array(1) }) }),
    };
    const loading = loadOn(hanging, place("lean"));
    await until(() => creations > 0);
    await vi.advanceTimersByTimeAsync(60_000);
    for (const model of [await loading, await loadOn(hanging, place("lean"))]) {
      expect(model.device).toBe("wasm");
      expect(model.fallbacks[0]?.reason).toContain("opening a session did not end in 60 s");
      await model.dispose();
    }
    expect(creations).toBe(1);
  });
});

test("offline, a file that only the fallback needs is named with the reason for the fallback", async () => {
  const { fetch } = globalThis;
  vi.stubGlobal("fetch", (url: string, init: RequestInit) =>
    url.endsWith("/model.onnx") ? Promise.reject(new TypeError("Failed to fetch")) : fetch(url, init),
  );
  const url = place("lean");
  const error = await errorOf(loadOn(machine(NO_GPU), url));
  vi.unstubAllGlobals();
  expect(error.code).toBe("io");
  expect(error.message).toBe(
    `${url}model.onnx: cannot be fetched: Failed to fetch, and is needed because webgpu is not used: there is no GPU adapter; check the network and try again [io]`,
  );
});
