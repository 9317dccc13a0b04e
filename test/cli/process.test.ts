// `qdg` and `qdg-export` as programs: what only a process of its own can show.

import { spawn } from "node:child_process";
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildCli, QDG, QDG_EXPORT, runProcess } from "../support/built-cli.js";
import { newFolder, removeFolder, writeImages, writeResnet } from "../support/small-models.js";

let folder = "";
let model = "";
beforeAll(async () => {
  buildCli();
  folder = await newFolder();
  model = await writeResnet(join(folder, "model"));
});
afterAll(() => removeFolder(folder));

async function leftovers(name: string): Promise<string[]> {
  return (await readdir(join(folder, name))).filter((each) => each.endsWith(".tmp"));
}

async function emptyOutput(name: string): Promise<string> {
  await mkdir(join(folder, name));
  return join(folder, name, "m.onnx");
}

test("qdg-export and qdg export are one command: the same file, the same words", async () => {
  const outputs = [await emptyOutput("a"), await emptyOutput("b")] as const;
  const first = await runProcess("node", [QDG_EXPORT, model, "--bits", "3", "-o", outputs[0]]);
  const second = await runProcess("node", [QDG, "export", model, "--bits", "3", "-o", outputs[1]]);
  expect(first).toMatchObject({ code: 0, stdout: "" });
  expect(second).toEqual({ ...first, stderr: first.stderr.replace(outputs[0], outputs[1]) });
  expect(await readFile(outputs[0])).toEqual(await readFile(outputs[1]));
});

test("a disk that is full leaves no file, not even a part of one", async () => {
  const output = await emptyOutput("full");
  // A limit of 2 kB a file stands in for the disk: the write fails in its midst.
  const script = `ulimit -f 2 && exec node "$@"`;
  const args = [QDG, "export", model, "--bits", "4", "-o", output];
  const result = await runProcess("bash", ["-c", script, "bash", ...args]);
  expect(result.stderr).toMatch(
    /^error: [^\n]*m\.onnx: cannot be written: EFBIG[^\n]*nothing was changed \[io\]\n$/,
  );
  expect(result).toMatchObject({ code: 1, stdout: "" });
  expect(await readdir(join(folder, "full"))).toEqual([]);
});

test("what is left of a process that was killed in the midst of writing goes with the next write there", async () => {
  const output = await emptyOutput("killed");
  const module = new URL("../../dist/base/atomic-file.js", import.meta.url).href;
  const script = `
    const { writeFilesAtomic } = await import(${JSON.stringify(module)});
    const bytes = new Uint8Array(2e7);
    console.error("begins");
    for (;;) await writeFilesAtomic([0, 1].map((i) => ({ path: process.argv[1] + i, bytes })), { force: true });`;
  // Now and then it is killed between two writes.
  for (let tries = 0; tries < 20 && (await leftovers("killed")).length === 0; tries++) {
    await new Promise((resolve) => {
      const child = spawn("node", ["--input-type=module", "-e", script, output], {
        stdio: ["ignore", "ignore", "pipe"],
      });
      child.stderr.once("data", () => setTimeout(() => child.kill("SIGKILL"), 30 + 10 * tries));
      child.on("close", resolve);
    });
  }
  expect(await leftovers("killed")).not.toEqual([]);
  const { code } = await runProcess("node", [QDG_EXPORT, model, "--float", "-o", output]);
  expect([code, await leftovers("killed")]).toEqual([0, []]);
});

test("Ctrl-C in the middle of calibration ends at once and leaves no file", async () => {
  const output = await emptyOutput("interrupted");
  const large = await writeResnet(join(folder, "large"), { width: 16, size: 96 });
  const images = await writeImages(join(folder, "images"), 2);
  for (let i = 3; i < 400; i++) await copyFile(join(images, "000.png"), join(images, `${i}.png`));
  // That this one is left out is said during calibration, with hundreds still to come.
  await writeFile(join(images, "002.png"), "broken");
  const calibration = ["--calibration", images, "--calibration-count", "400", "--skip-broken"];
  let sentAt = 0;
  const result = await runProcess(
    "node",
    [QDG, "export", large, "--bits", "4", "--preprocess", "0,1", ...calibration, "-o", output],
    (stderr, interrupt) => {
      if (sentAt > 0 || !stderr.includes("skipped")) return;
      sentAt = Date.now();
      interrupt();
    },
  );
  expect(result.stderr).toMatch(/^skipped .*002\.png.*\ninterrupted; no file was left half-written\n$/);
  expect(result).toMatchObject({ code: 130, stdout: "" });
  expect(Date.now() - sentAt).toBeLessThan(3000);
  expect(await readdir(join(folder, "interrupted"))).toEqual([]);
});

test("where stderr is no terminal, no progress is drawn, however long it takes", async () => {
  const output = await emptyOutput("quiet");
  const images = await writeImages(join(folder, "some"), 9);
  const args = ["--bits", "8", "--preprocess", "0,1", "--calibration", images, "-o", output];
  const result = await runProcess("node", [QDG, "export", model, ...args]);
  expect(result).toMatchObject({ code: 0, stdout: "" });
  expect(result.stderr).not.toMatch(/[^\n\P{Cc}]/u);
  expect(result.stderr).toMatch(/^[^\n]*m\.onnx: [^\n]* kB\nweights: /);
});

test("a reader that closes early is no error", async () => {
  const output = await emptyOutput("piped");
  // "true" is gone long before there is anything to read.
  const script = `node "$0" export "$1" --bits 3 -o "$2" 2> "$2.log" && node "$0" inspect "$2" --json | true; echo "\${PIPESTATUS[0]}"`;
  const result = await runProcess("bash", ["-c", script, QDG, model, output]);
  expect(result).toMatchObject({ stdout: "0\n", stderr: "" });
});
