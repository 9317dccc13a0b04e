import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Tensor } from "../../src/base/tensor.js";
import { imageToTensor } from "../../src/image/to-tensor.js";
import { runtimeOf } from "../../src/runtime/registry.js";
import type { Session } from "../../src/runtime/runtime.js";
import { checkIntegers, withKnownOutputs } from "../../src/web/known-integers.js";
import type { WebRuntimeName } from "../../src/web/runtimes/web-runtime.js";
import type { KnownIntegers, WebDevice } from "../../src/web/manifest.js";
import { errorOf, GPU, machine, NO_GPU, sessions, onnxruntimeLoadOn as loadOn } from "./machine.js";
import { INPUT, pathsOf, PREPROCESSING, serve, shapesSite, TEST_PICTURES } from "./site.js";
import type { Site, TestServer } from "./site.js";

let site: Site;
let server: TestServer;
const paths = new Map<string, Uint8Array | string>();

beforeAll(async () => {
  site = await shapesSite(false);
  server = await serve(paths, {});
});
afterAll(() => server.close());
beforeEach(() => {
  server.requests.length = 0;
  sessions.opened = 0;
  sessions.disposed = 0;
});

/** Serves the site in a folder, by default without the runtime's 14 MB. */
function place(folder: string, manifest: unknown = { ...site.manifest, runtime: { files: [] } }): string {
  for (const [path, body] of pathsOf(site, folder, manifest)) paths.set(path, body);
  return `${server.url}${folder}/`;
}

/** One tensor of `device` is changed by `change`; its answers stay right. */
function slipping(
  name: string,
  change: (q: number, i: number) => number,
): (runtime: WebRuntimeName, session: Session) => Session {
  return ({ device }, session) =>
    device === "wasm"
      ? session
      : {
          ...session,
          run: async (feeds) => {
            const results = await session.run(feeds);
            const tensor = results[name];
            if (tensor?.dtype !== "float32") return results;
            return { ...results, [name]: { ...tensor, data: (tensor.data as Float32Array).map(change) } };
          },
        };
}

/** The site whose file for `device` is said to hold other integers. */
const otherIntegers = (device: WebDevice, change: (known: KnownIntegers) => KnownIntegers): unknown => ({
  ...site.manifest,
  models: site.manifest.models.map((each) =>
    each.device === device ? Object.assign({}, each, { integers: change(each.integers) }) : each,
  ),
  runtime: { files: [] },
});
const otherHashes = (known: KnownIntegers): KnownIntegers => ({
  ...known,
  tensors: known.tensors.map(({ name, sha256: hash }, i) => ({
    name,
    sha256: i === 4 || i === 9 ? hash.replace(/^./, (digit) => (digit === "0" ? "1" : "0")) : hash,
  })),
});

describe("the integers inside", () => {
  test.each<[string, (q: number, i: number) => number]>([
    ["one element by one step", (q, i) => (i === 77 ? q + 1 : q)],
    ["one element by less than a step", (q, i) => (i === 77 ? q + 1e-4 : q)],
    ["one element by what 16 bits wrap away", (q, i) => (i === 77 ? q + 65536 : q)],
    ["NaN", () => NaN],
  ])("that are off by %s leave the GPU for wasm, though its answers are right", async (_, change) => {
    const model = await loadOn(machine(GPU, slipping("relu3", change)), place("lean"));
    expect(model.device).toBe("wasm");
    expect(model.fallbacks[0]?.reason).toMatch(
      /model\.webgpu\.onnx: self-test: integers of 1 of 13 tensors differ, the first is "relu3"; webgpu of this machine/,
    );
    expect(model.selfTest).toMatchObject({ device: "wasm", tensors: 13 });
    expect([sessions.opened, sessions.disposed]).toEqual([3, 2]);
    await model.dispose();
  });

  test("are those of the manifest, or the GPU is left and the page is told", async () => {
    const url = place("other-gpu", otherIntegers("webgpu", otherHashes));
    const model = await loadOn(machine(GPU), url);
    expect(model.device).toBe("wasm");
    expect(model.fallbacks[0]?.reason).toContain('integers of 2 of 13 tensors differ, the first is "relu3a"');
    await model.dispose();
  });

  test("are those of the manifest, or there is no model where no device is left", async () => {
    const url = place("other-wasm", otherIntegers("wasm", otherHashes));
    for (const options of [{}, { device: "wasm" }] as const) {
      const error = await errorOf(loadOn(machine(NO_GPU), url, options));
      expect(error.code).toBe("runtime");
      expect(error.message).toContain("2 of 13 tensors differ");
    }
    expect([sessions.opened, sessions.disposed]).toEqual([2, 2]);
  });

  test.each<[string, (known: KnownIntegers) => KnownIntegers, RegExp]>([
    [
      "nothing",
      (known) => ({ ...known, outputs: "" }),
      /13 of 13 tensors differ, the first is "input\/quantized"/,
    ],
    ["no protobuf", (known) => ({ ...known, outputs: "/////w==" }), /model\.webgpu\.onnx: .*\[runtime\]/],
  ])("are not given out by outputs that are %s, which is a failed test", async (_, change, message) => {
    const model = await loadOn(machine(GPU), place("no-outputs", otherIntegers("webgpu", change)));
    expect(model.fallbacks[0]?.reason).toMatch(message);
    await model.dispose();
  });

  test.each<[WebDevice, number]>([
    ["wasm", 1],
    ["webgpu", 2],
  ])("take one session more on %s, and then at most %i are open at once", async (device, most) => {
    let open = 0;
    let largest = 0;
    const counting = machine(GPU, (_, session) => {
      largest = Math.max(largest, ++open);
      return {
        ...session,
        dispose: () => {
          open--;
          return session.dispose();
        },
      };
    });
    const model = await loadOn(counting, place("lean"), { device });
    expect([sessions.opened, open, largest]).toEqual([2, 1, most]);
    await model.dispose();
  });

  test.each(["reference", "cpu", "wasm"] as const)(
    "are what %s gives out for the file's bytes and those of the manifest behind them",
    async (name) => {
      for (const { file, integers } of site.manifest.models) {
        const bytes = site.files.get(file) as Uint8Array;
        const [plain, more] = [
          await (await runtimeOf(name)).open({ bytes }),
          await (await runtimeOf(name)).open({ bytes: withKnownOutputs(bytes, integers) }),
        ];
        expect(more.inputs).toEqual(plain.inputs);
        expect(more.outputs.map((output) => output.name)).toEqual([
          ...plain.outputs.map((output) => output.name),
          ...integers.tensors.map((tensor) => tensor.name),
        ]);
        const input = imageToTensor(TEST_PICTURES[0], { ...INPUT, preprocessing: PREPROCESSING });
        const results = await more.run({ input });
        expect(await checkIntegers(results, integers, file, "")).toEqual({ tensors: 13, integers: 31_872 });
        const { classes } = await plain.run({ input });
        const expected = Array.from((classes as Tensor).data as Float32Array);
        expected.forEach((p, k) => expect(results["classes"]?.data[k]).toBeCloseTo(p, 6));
        await plain.dispose();
        await more.dispose();
      }
    },
  );
});
