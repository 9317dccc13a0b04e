import { createRequire } from "node:module";
import { describe, expect, test, type TestOptions } from "vitest";
import { parseTargets, runtimeOf } from "../../src/runtime/registry.js";
import { RUNTIME_NAMES } from "../../src/runtime/runtime.js";
import { BROWSER, needsWebgpu } from "../support/needs.js";

const NEEDS: Readonly<Record<string, TestOptions>> = {
  webgpu: await needsWebgpu(),
  "browser-wasm": BROWSER,
  "browser-webgpu": BROWSER,
};

/** Which of the heavy packages this process has loaded. */
function loaded(): string[] {
  const files = Object.keys(createRequire(import.meta.url).cache);
  return ["onnxruntime-node", "tfjs-core"].filter((name) => files.some((file) => file.includes(name)));
}

describe("runtimeOf", () => {
  test("loads no runtime before it is probed", async () => {
    const cpu = await runtimeOf("cpu");
    const float = await runtimeOf("float");
    await runtimeOf("wasm");
    expect(loaded()).toEqual([]);
    await cpu.probe();
    expect(loaded()).toEqual(["onnxruntime-node"]);
    await float.probe();
    expect(loaded()).toEqual(["onnxruntime-node", "tfjs-core"]);
  });

  for (const name of RUNTIME_NAMES) {
    test(`gives ${name} by its name, available with its version`, NEEDS[name] ?? {}, async () => {
      const runtime = await runtimeOf(name);
      expect(runtime.name).toBe(name);
      expect(await runtime.probe()).toEqual({ available: true, version: expect.stringMatching(/\w/) });
    });
  }
});

describe("parseTargets", () => {
  test.each([
    ["cpu", ["cpu"]],
    ["wasm,cpu", ["wasm", "cpu"]],
    [" cpu , reference ", ["cpu", "reference"]],
    ["tfjs,cpu", ["float", "cpu"]],
  ])("reads %s", (text, names) => {
    expect(parseTargets(text)).toEqual(names);
  });

  test.each([
    [
      "",
      'got "", expected names among cpu, wasm, webgpu, engine, browser-wasm, browser-webgpu, browser-engine, float, reference',
    ],
    ["cpu,", 'got ""'],
    ["gpu", 'got "gpu", expected names among'],
    ["CPU", 'got "CPU"'],
    ["cpu,cpu", 'got "cpu" twice'],
    ["tfjs,float", 'got "float" twice'],
  ])("refuses %j, listing the names", (text, message) => {
    expect(() => parseTargets(text)).toThrow(message);
    expect(() => parseTargets(text)).toThrow(expect.objectContaining({ code: "usage" }));
  });
});
