// --browser and --browser-timeout of every command that can run a browser: the one that is named or an error, never
// another one.

import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findBrowser } from "../../src/runtime/browser/find-browser.js";
import { exportShapes, SHAPES_MODEL, writeDomains } from "../support/certified-models.js";
import { BROWSER } from "../support/needs.js";
import { runCli } from "../support/run-cli.js";
import { newFolder, removeFolder } from "../support/small-models.js";

let folder = "";
let out = "";
let images = "";
beforeAll(async () => {
  folder = await newFolder();
  out = await exportShapes(join(folder, "out"));
  images = await writeDomains(join(folder, "images"), 14);
}, 120_000);
afterAll(() => removeFolder(folder));

type Command = (targets: string) => readonly string[];

const COMMANDS: readonly (readonly [name: string, args: Command])[] = [
  ["run", (target) => ["run", join(out, "model.onnx"), images, "--target", target]],
  ["parity", (targets) => ["parity", join(out, "model.onnx"), "--data", images, "--targets", targets]],
  ["certify", (targets) => certifying("c.json", targets)],
  ["evaluate", (targets) => ["evaluate", join(out, "model.onnx"), "--data", images, "--targets", targets]],
];

function certifying(name: string, targets: string): string[] {
  const args = ["certify", SHAPES_MODEL, out, "--data", images, "--targets", targets];
  return [...args, "-o", join(folder, name), "--force"];
}

describe.each(COMMANDS)("qdg %s", (_, args) => {
  test("runs no other browser in place of one that is not there", async () => {
    const browser = join(folder, "nowhere");
    const { code, stdout, stderr } = await runCli(...args("browser-wasm"), "--browser", browser);
    expect(stderr).toBe(
      `error: target browser-wasm: --browser: got "${browser}", expected the program of Chromium, Chrome or Edge; name one that is there, or none, so that it is looked for in the usual places [unavailable]\n`,
    );
    expect([code, stdout]).toEqual([1, ""]);
  });

  test("does not take a browser that no target would run in", async () => {
    const { code, stdout, stderr } = await runCli(...args("cpu"), "--browser", "chromium");
    expect(stderr).toMatch(
      /^error: --browser: got "chromium", expected a target that runs in it, .*; got cpu/,
    );
    expect([code, stdout]).toEqual([2, ""]);
  });

  test("does not take a limit that is none", async () => {
    for (const limit of ["0", "-1", "soon", "1e3", "", "86401"]) {
      const { code, stderr } = await runCli(...args("browser-wasm"), "--browser-timeout", limit);
      expect(stderr).toContain(`--browser-timeout: got "${limit}", expected a number of seconds from 0.001`);
      expect(code).toBe(2);
    }
  });
});

/** A program that stands in for a browser. */
async function script(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
  return path;
}

function run(browser: string, ...more: readonly string[]): ReturnType<typeof runCli> {
  const args = ["run", join(out, "model.onnx"), images, "--target", "browser-wasm"];
  return runCli(...args, "--browser", browser, ...more);
}

describe("a program that is no browser", () => {
  test("is said to have ended at once where it does, with what it wrote", async () => {
    const silent = await run(await script("ends", "exit 0"));
    expect(silent.stderr).toMatch(/ends: the browser does not start: the program ended at once; see whether/);
    const speaking = await run(await script("speaks", "echo 'unknown option' >&2; exit 2"));
    expect(speaking.stderr).toMatch(/speaks: .*: the program ended at once \(unknown option\); see whether/);
    expect([silent.code, speaking.code]).toEqual([1, 1]);
  });

  test("is given up after --browser-timeout where it says nothing", async () => {
    const { code, stderr } = await run(await script("silent", "exec sleep 100"), "--browser-timeout", "0.5");
    expect(stderr).toMatch(/silent: .* does not start: it gave no answer within 0.5 s \(--browser-timeout\)/);
    expect(code).toBe(1);
  });
});

test(
  "a certificate of a browser is verified with the browser that is named, and with no other",
  BROWSER,
  async () => {
    const path = join(folder, "cert.json");
    const program = findBrowser(undefined)?.path ?? "";
    const certified = await runCli(...certifying("cert.json", "browser-wasm"), "--browser", program);
    expect(certified.stderr).toContain("PASSED: browser-wasm; 0 of 446208 quantized elements differ");
    const verified = await runCli("certify", "--verify", path, "--browser", program);
    expect([verified.stderr, verified.code]).toEqual([expect.stringContaining("cert.json: VERIFIED"), 0]);
    const without = await runCli("certify", "--verify", path, "--browser", join(folder, "nowhere"));
    expect(without.stderr).toMatch(/^error: target browser-wasm: --browser: got .*nowhere/);
    expect(without.code).toBe(1);
  },
);
