// A sweep on this machine, by processes that are killed and interrupted, and what is said of folders that belong to
// other sweeps.

import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { VERSION } from "../../src/base/version.js";
import { jobState } from "../../src/sweep/job-record.js";
import type { SweepJob } from "../../src/sweep/job.js";
import { readSweep } from "../../src/sweep/sweep-file.js";
import { train } from "../../src/train/run/train.js";
import { RunFolder } from "../../src/train/run/run-folder.js";
import { buildCli, QDG, runProcess } from "../support/built-cli.js";
import { runCli } from "../support/run-cli.js";
import { contentOf } from "../train/run/tiny-run.js";
import { tinySweep, writePretendedRun, writeSweep } from "./sweep-files.js";
import { QdgProcess } from "./sweep-process.js";

const SLOW_MS = 600_000;

let folder = "";
beforeAll(async () => {
  buildCli();
  folder = await mkdtemp(join(tmpdir(), "qdg-local-"));
}, SLOW_MS);
afterAll(() => rm(folder, { recursive: true, force: true }));

const modelOf = async (path: string): Promise<unknown> => {
  const { files: _, ...content } = await contentOf(path);
  return content;
};

describe("qdg sweep", () => {
  test(
    "that was killed, then interrupted, goes on by the same command, and ends as runs that never stopped",
    async () => {
      const json = tinySweep(3);
      const steps = { ...(json.options as object), steps: 60, evalEvery: 30 };
      const path = await writeSweep(folder, { ...json, options: steps }, "killed");
      const out = join(folder, "killed");
      const args = ["sweep", path, "--out", out, "--jobs", "2"];
      const first = join(out, "lsq-sketch-seed0");

      const killed = new QdgProcess(...args);
      await killed.says(/seed1: begins/);
      while (!(await stat(join(first, "checkpoint.bin")).catch(() => null))) await setTimeout(20);
      await killed.kill(false);
      // Processes of training notice it a moment later.
      await expect
        .poll(() => stat(join(first, "run.lock")).catch(() => null), { timeout: 60_000 })
        .toBeNull();

      const interrupted = new QdgProcess(...args);
      await interrupted.says(/seed0: goes on/);
      await setTimeout(300);
      interrupted.interrupt();
      expect(await interrupted.ended).toBe(130);
      expect(interrupted.stderr).toContain("note: stops: jobs finish their step and save a checkpoint");
      expect(interrupted.stderr).toContain("stopped; the same command goes on\n");
      await expect(stat(join(first, "run.lock"))).rejects.toThrow("ENOENT");

      const last = new QdgProcess(...args);
      expect(await last.ended, last.stderr).toBe(0);
      expect(last.stderr).toMatch(
        /\[3\/3\] lsq-sketch-seed\d: finished, validation [\d.]+ %, held out [\d.]+ %/,
      );
      expect(last.stdout).toMatch(/^lsq +3 /m);
      for (const { name, options } of (await readSweep(path)).jobs) {
        const whole = join(folder, "whole", name);
        await train({ options, out: whole });
        expect(await modelOf(join(out, name)), name).toEqual(await modelOf(whole));
      }

      const before = (await stat(join(first, "results.jsonl"))).mtimeMs;
      const again = await runProcess("node", [QDG, ...args, "--json"]);
      expect(again.stderr).toContain("3 jobs, 3 of them finished before");
      expect((await stat(join(first, "results.jsonl"))).mtimeMs).toBe(before);
      expect(JSON.parse(again.stdout)).toMatchObject({
        domains: ["sketch"],
        rows: [{ name: "lsq", runs: 3 }],
      });

      const page = join(folder, "report.html");
      const report = await runCli("report", out, "-o", page);
      expect(report.stderr).toContain("3 run(s)");
      expect(await readFile(page, "utf8")).toContain('<section id="sweep">');
    },
    SLOW_MS,
  );

  test(
    "runs one job by its index, and tells of a job that fails by its own message while the others go on",
    async () => {
      const json = tinySweep(2);
      const grid = [json.grid as object, { testDomain: ["nowhere"], seed: [0] }];
      const path = await writeSweep(folder, { ...json, grid }, "one");
      const out = join(folder, "one");
      const one = await runProcess("node", [QDG, "sweep", path, "--out", out, "--only", "1"]);
      expect(one).toMatchObject({ code: 0, stdout: "" });
      expect(one.stderr).toContain("[1/1] lsq-sketch-seed1: finished");
      const all = await runProcess("node", [QDG, "sweep", path, "--out", out, "--jobs", "2"]);
      expect(all.code).toBe(1);
      expect(all.stderr).toContain("3 jobs, 1 of them finished before");
      expect(all.stderr).toMatch(/nowhere-seed0: FAILED: domain nowhere: is not in the data, which has flat/);
      expect(all.stderr).toContain("1 of 3 jobs failed; the same command tries them again");
      expect(all.stderr).toContain("note: 1 of 3 jobs are not finished, and not in the table");
      expect(await readFile(join(out, "nowhere-seed0", "output.txt"), "utf8")).toContain("error: ");
    },
    SLOW_MS,
  );

  test("lists its jobs with their commands without running any", async () => {
    const path = await writeSweep(folder, tinySweep(2), "listed");
    const { code, stdout, stderr } = await runCli("sweep", path, "--dry-run", "--out", "runs");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "2 jobs\n" });
    expect(stdout).toMatch(
      /^0 {2}lsq-sketch-seed0\n {3}qdg train --data=shapes-dg .* --out runs\/lsq-sketch-seed0\n1 {2}/,
    );
    const { stdout: json } = await runCli("sweep", path, "--dry-run", "--json");
    expect(JSON.parse(json)).toMatchObject({
      name: "listed",
      jobs: [{ index: 0, name: "lsq-sketch-seed0" }, {}],
    });
  });

  test("needs a folder for the runs", async () => {
    const path = await writeSweep(folder, tinySweep(1), "nowhere");
    const { code, stderr } = await runCli("sweep", path);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: "error: --out: got nothing, expected the folder of the runs; --dry-run needs none [usage]\n",
    });
  });
});

const sweep = (): Promise<{ code: number; stderr: string }> =>
  runCli("sweep", join(folder, "states.json"), "--out", join(folder, "states"));

describe("a run folder", () => {
  let job: SweepJob;
  const run = (): string => join(folder, "states", job.name);
  const record = (change: object): Promise<void> =>
    writeFile(
      join(run(), "job.json"),
      JSON.stringify({
        version: 1,
        qdg: VERSION,
        name: job.name,
        identity: job.identity,
        state: "finished",
        ...change,
      }),
    );
  beforeAll(async () => {
    const { jobs } = await readSweep(await writeSweep(folder, tinySweep(1), "states"));
    job = jobs[0] as SweepJob;
    await writePretendedRun(run(), job.options);
  });

  test("of a run that no sweep has made is refused", async () => {
    const { code, stderr } = await sweep();
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        "there is a run in this folder that no sweep has made; move it away",
      ) as string,
    });
  });

  test("of another version of qdg is refused, with both versions", async () => {
    await record({ qdg: "0.0.1" });
    expect((await sweep()).stderr).toContain(
      `was made by qdg 0.0.1, and this is ${VERSION}: results of two versions`,
    );
  });

  test("of other options under the same name is refused", async () => {
    await record({ identity: "0".repeat(64) });
    expect((await sweep()).stderr).toContain(
      "is the job lsq-sketch-seed0 with other options than the sweep has now",
    );
  });

  test("with a damaged record is refused", async () => {
    await record({ state: "done" });
    expect((await sweep()).stderr).toContain('job.json: state: got "done", expected begun or finished');
  });

  test("that is finished is taken as it is", async () => {
    await record({});
    expect(await jobState(run(), job)).toBe("finished");
    expect((await sweep()).stderr).toContain("1 jobs, 1 of them finished before");
  });

  test("in use is said, with the process that has it", async () => {
    await record({ state: "begun" });
    const lock = await RunFolder.lock(run(), () => undefined);
    const { code, stderr } = await runProcess("node", [
      QDG,
      "sweep",
      join(folder, "states.json"),
      "--out",
      join(folder, "states"),
    ]);
    await lock.release();
    expect(code).toBe(1);
    expect(stderr).toContain(`is in use by process ${process.pid} on`);
  });
});
