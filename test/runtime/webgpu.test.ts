// The webgpu runtime: why it is not available, said without taking the process down, and that nothing of a file
// runs on the CPU unnoticed.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { float32, type Tensor } from "../../src/base/tensor.js";
import { exportModel } from "../../src/export/export-model.js";
import { parity } from "../../src/parity/parity.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import { webgpuRuntime } from "../../src/runtime/webgpu.js";
import { checkAdapter } from "../../src/runtime/webgpu/adapter-check.js";
import { adapterChoices } from "../../src/runtime/webgpu/vulkan.js";
import { needsWebgpu } from "../support/needs.js";
import { writeImages } from "../support/small-models.js";

const shapes = new URL("../../models/shapes/model.json", import.meta.url).pathname;
let folder: string;
let files: { readonly host: string; readonly webgpu: string };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-webgpu-"));
  const exported = await exportModel({
    model: shapes,
    output: join(folder, "model.onnx"),
    targets: ["cpu", "wasm", "webgpu"],
  });
  const [host, webgpu] = exported.files.map(({ path }) => path) as [string, string];
  files = { host, webgpu };
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the way to an adapter", () => {
  let withSwiftShader: string;
  let withDrivers: string;
  beforeAll(async () => {
    withSwiftShader = join(folder, "browser");
    withDrivers = join(folder, "drivers");
    await mkdir(withSwiftShader);
    await mkdir(withDrivers);
    await writeFile(join(withSwiftShader, "vk_swiftshader_icd.json"), "{}");
    await writeFile(join(withDrivers, "radeon.json"), "{}");
  });

  test("is the driver that the user named, and no other", () => {
    for (const name of ["VK_ICD_FILENAMES", "VK_DRIVER_FILES"]) {
      const choices = adapterChoices(
        { [name]: "/drivers/mine.json" },
        "linux",
        [withSwiftShader],
        [withDrivers],
      );
      expect(choices).toEqual([{ description: "/drivers/mine.json", driver: null, loaderFolder: null }]);
    }
  });

  test("is the system's driver first, then the software adapter of a browser with its Vulkan loader", async () => {
    const software = { driver: join(withSwiftShader, "vk_swiftshader_icd.json"), loaderFolder: null };
    const found = adapterChoices({}, "linux", ["/nowhere", withSwiftShader], [withDrivers]);
    expect(found).toEqual([
      { description: "the system's driver", driver: null, loaderFolder: null },
      { description: `software adapter ${software.driver}`, ...software },
    ]);
    await writeFile(join(withSwiftShader, "libvulkan.so.1"), "");
    const [only] = adapterChoices({ VK_ICD_FILENAMES: "" }, "linux", [withSwiftShader], ["/nowhere"]);
    expect(only).toMatchObject({ ...software, loaderFolder: withSwiftShader });
  });

  test("is none where there is no driver, and the system's own where graphics are not Vulkan", () => {
    expect(adapterChoices({}, "linux", ["/nowhere"], ["/nowhere"])).toEqual([]);
    expect(adapterChoices({}, "darwin", [withSwiftShader], [])).toMatchObject([{ driver: null }]);
  });
});

describe("a trial of an adapter", () => {
  test("that is not there says so in the runtime's words, without where in its source", async () => {
    const choice = { description: "none", driver: join(folder, "none.json"), loaderFolder: null };
    const verdict = await checkAdapter(choice);
    expect(verdict).toMatchObject({ works: false, fault: "adapter" });
    expect(verdict).toHaveProperty("problem", expect.stringMatching(/^Failed to get a WebGPU adapter/));
  });

  test("that takes its process down is reported, and this process lives", async () => {
    // A library in the place of Vulkan's that is not one ends the trial one way or another.
    const broken = join(folder, "broken");
    await mkdir(broken);
    await writeFile(join(broken, "libvulkan.so.1"), "not a library");
    const driver = join(broken, "none.json");
    const verdict = await checkAdapter({ description: "broken", driver, loaderFolder: broken });
    expect(verdict).toMatchObject({ works: false, fault: "adapter" });
  });

  test("that gives no answer in time is ended", async () => {
    const choice = { description: "slow", driver: null, loaderFolder: null };
    expect(await checkAdapter(choice, 5)).toEqual({
      works: false,
      fault: "adapter",
      problem: "a trial of it gave no answer within 0.005 s",
    });
  });
});

const run = async (path: string, runtime: typeof cpuRuntime): Promise<Tensor> => {
  const session = await runtime.open({ path });
  const x = float32(
    [1, 32, 32, 3],
    Float32Array.from({ length: 32 * 32 * 3 }, (_, i) => ((i * 7919) % 256) / 255),
  );
  const results = await session.run({ input: x });
  await session.dispose();
  return results["classes"] as Tensor;
};

const WEBGPU = await needsWebgpu();

// A software adapter compiles each shader on the CPU.
describe("the webgpu runtime", { timeout: 240_000, ...WEBGPU }, () => {
  test("names its version and the adapter", async () => {
    expect(await webgpuRuntime.probe()).toEqual({
      available: true,
      version: expect.stringMatching(/^onnxruntime-node \d.*, .+/),
    });
  });

  test("computes the integers of the reference on the trained 3-bit model, as cpu and wasm do", async () => {
    const report = await parity({
      model: files.webgpu,
      data: [await writeImages(join(folder, "images"), 2)],
      targets: ["cpu", "wasm", "webgpu"],
      intermediates: true,
    });
    const mismatches = report.targets.map(({ runtime, tensors }) => [
      runtime,
      tensors?.length,
      tensors?.reduce((sum, each) => sum + each.mismatches.count, 0),
    ]);
    expect(mismatches).toEqual([
      ["cpu", 11, 0],
      ["wasm", 11, 0],
      ["webgpu", 11, 0],
    ]);
  });

  test("agrees with the integer file on every class", async () => {
    const [a, b] = [await run(files.host, cpuRuntime), await run(files.webgpu, webgpuRuntime)];
    const largest = Math.max(...(a.data as Float32Array).map((x, i) => Math.abs(x - Number(b.data[i]))));
    expect(largest).toBeLessThan(1e-6);
  });

  test("refuses a file that would run on the CPU in part, and says what to do", async () => {
    await expect(webgpuRuntime.open({ path: files.host })).rejects.toMatchObject({
      code: "runtime",
      where: files.host,
      message: expect.stringMatching(/no WebGPU kernel.*--target webgpu/),
    });
  });

  test("says that a file is not there", async () => {
    await expect(webgpuRuntime.open({ path: "/nowhere.onnx" })).rejects.toMatchObject({ code: "not-found" });
  });
});
