// What the engines of clusters write: judged by the shell, by the list of sbatch's options and by Kubernetes' own schema.
// Nothing is started.

import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type IJob, Job } from "kubernetes-models/batch/v1/Job";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EngineSettings } from "../../src/sweep/engines/engine.js";
import { kubernetesJob } from "../../src/sweep/engines/kubernetes.js";
import { slurmScript } from "../../src/sweep/engines/slurm.js";
import { hashOf } from "../../src/sweep/job.js";
import { readSweep } from "../../src/sweep/sweep-file.js";
import { SHELL } from "../support/needs.js";
import { runCli } from "../support/run-cli.js";
import { newFolder, removeFolder } from "../support/small-models.js";
import { tinySweep, writeSweep } from "./sweep-files.js";

let folder = "";
beforeAll(async () => {
  folder = await newFolder();
});
afterAll(() => removeFolder(folder));

/** Long options of `man sbatch` (Slurm 24.11). */
const SBATCH_OPTIONS: ReadonlySet<string> = new Set(
  `account acctg-freq array batch bb bbf begin chdir cluster-constraint clusters comment constraint container container-id
  contiguous core-spec cores-per-socket cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot dependency distribution error
  exclude exclusive export export-file extra extra-node-info get-user-env gid gpu-bind gpu-freq gpus gpus-per-node
  gpus-per-socket gpus-per-task gres gres-flags hint hold ignore-pbs input job-name kill-on-invalid-dep licenses mail-type
  mail-user mcs-label mem mem-bind mem-per-cpu mem-per-gpu mincpus network nice no-kill no-requeue nodefile nodelist nodes
  ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket open-mode oom-kill-step output overcommit oversubscribe
  parsable partition power prefer priority profile propagate qos quiet reboot requeue reservation resv-ports segment signal
  sockets-per-node spread-job stepmgr switches test-only thread-spec threads-per-core time time-min tmp tres-bind
  tres-per-task uid usage use-min-nodes verbose wait wait-all-nodes wckey wrap`.split(/\s+/),
);

const context = async (settings: EngineSettings = {}, name = "tiny", out = join(folder, "runs")) => {
  const path = await writeSweep(folder, tinySweep(5), name);
  const sweep = await readSweep(path);
  return { sweep, path, out, jobs: 2, threads: 1, settings, program: ["/usr/bin/node", "/opt/qdg/main.js"] };
};

describe("the script for sbatch", () => {
  test("is a job array whose every element runs one job by its index", SHELL, async () => {
    const given = await context({ cpus: 4, memory: "8G", time: "2h", partition: "gpu" });
    const script = slurmScript(given);
    const hash = hashOf(given.sweep).slice(0, 12);
    expect(script.split("\n").slice(0, 1)).toEqual(["#!/bin/bash"]);
    for (const directive of [
      "job-name=tiny",
      "array=0-4%2",
      "ntasks=1",
      "cpus-per-task=4",
      "mem=8G",
      "time=120",
      "partition=gpu",
      `output=${folder}/runs/slurm-%A_%a.txt`,
      "requeue",
      "signal=B:TERM@120",
    ]) {
      expect(script).toContain(`\n#SBATCH --${directive}\n`);
    }
    expect(script).toContain(
      `exec /usr/bin/node /opt/qdg/main.js sweep ${given.path} --out ${given.out} --if-hash ${hash} --threads 1 --only "$SLURM_ARRAY_TASK_ID"`,
    );
    expect(script.indexOf("#SBATCH")).toBeLessThan(script.indexOf("set -eu"));
  });

  test("passes the shell's own check, and names only options that sbatch has", SHELL, async () => {
    const script = slurmScript(await context({ cpus: 1, memory: "500M", time: "90m", partition: "a" }));
    const path = join(folder, "check.sbatch");
    await writeFile(path, script);
    execFileSync("bash", ["-n", path]);
    const options = [...script.matchAll(/^#SBATCH --([a-z-]+)/gm)].map(([, option = ""]) => option);
    expect(options.length).toBeGreaterThan(8);
    expect(options.filter((option) => !SBATCH_OPTIONS.has(option))).toEqual([]);
  });

  test("gives the command its arguments as they are, whatever is in them", SHELL, async () => {
    const odd = `odd '"$(touch x)" name`;
    const given = await context();
    // The program of the script prints what it is given.
    const program = [
      "/usr/bin/env",
      "node",
      "-e",
      "console.log(JSON.stringify(process.argv.slice(1)))",
      "--",
    ];
    const script = slurmScript({ ...given, path: join(folder, odd), program });
    const path = join(folder, "odd.sbatch");
    await writeFile(path, script);
    const env = { ...process.env, SLURM_ARRAY_TASK_ID: "3" };
    const args = JSON.parse(execFileSync("bash", [path], { env, encoding: "utf8" })) as string[];
    expect(args.slice(0, 2)).toEqual(["sweep", resolve(folder, odd)]);
    expect(args.slice(-2)).toEqual(["--only", "3"]);
  });

  test.each<[EngineSettings, string, string]>([
    [{ partition: "a b" }, "runs", '--partition: got "a b", which #SBATCH cannot be told safely'],
    [{}, "runs\n#SBATCH --uid=0", "which #SBATCH cannot be told safely"],
    [{ memory: "8 GB" }, "runs", '--memory: got "8 GB", expected as 4G or 500M'],
    [{ time: "soon" }, "runs", '--time: got "soon", expected minutes, hours or days'],
  ])("is not written for %j below %j", async (settings, out, message) => {
    const given = await context(settings, "tiny", join(folder, out));
    expect(() => slurmScript(given)).toThrow(message);
  });
});

describe("the Job of Kubernetes", () => {
  const SETTINGS: EngineSettings = { image: "registry.example/qdg:1", volume: "work:/work" };

  test("is an indexed Job by Kubernetes' own schema", async () => {
    const given = await context({ ...SETTINGS, cpus: 2, memory: "4G", time: "1h", namespace: "ml" });
    const job = kubernetesJob(given, folder) as unknown as IJob;
    new Job(job).validate();
    expect(job).toMatchObject({
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { namespace: "ml", name: expect.stringMatching(/^qdg-tiny-[0-9a-f]{6}$/) as string },
      spec: {
        completionMode: "Indexed",
        completions: 5,
        parallelism: 2,
        template: {
          spec: {
            restartPolicy: "Never",
            activeDeadlineSeconds: 3600,
            containers: [
              {
                image: "registry.example/qdg:1",
                command: ["qdg"],
                args: [
                  "sweep",
                  "tiny.json",
                  "--out",
                  "runs",
                  "--threads",
                  "1",
                  "--if-hash",
                  hashOf(given.sweep).slice(0, 12),
                  "--only",
                  "$(JOB_COMPLETION_INDEX)",
                ],
                workingDir: "/work",
                resources: { limits: { cpu: "2", memory: "4Gi" } },
              },
            ],
            volumes: [{ persistentVolumeClaim: { claimName: "work" } }],
          },
        },
      },
    });
  });

  test("is refused by that schema where it is wrong, so that passing it says something", async () => {
    const job = kubernetesJob(await context(SETTINGS), folder) as { spec: object };
    expect(() =>
      new Job({ ...job, spec: { ...job.spec, completions: "5" } } as unknown as IJob).validate(),
    ).toThrow("completions must be integer");
  });

  test("keeps what Kubernetes would replace in an argument", async () => {
    const given = await context(SETTINGS, "tiny", join(folder, "$(HOME)"));
    expect(JSON.stringify(kubernetesJob(given, folder))).toContain('"--out","$$(HOME)"');
  });

  test.each<[EngineSettings, string, string]>([
    [{ volume: "work:/work" }, "runs", "--image: got nothing, expected an image that has qdg in it"],
    [{ image: "a b", volume: "work:/work" }, "runs", "--image: got a b"],
    [{ image: "a" }, "runs", "--volume: got nothing, expected claim:/path"],
    [{ image: "a", volume: "Work:/work" }, "runs", "--volume: got Work:/work"],
    [{ ...SETTINGS, namespace: "A" }, "runs", '--namespace: got "A"'],
    [SETTINGS, "../runs", "is not inside of the current folder"],
  ])("is not written for %j and runs in %s", async (settings, out, message) => {
    const given = await context(settings, "tiny", join(folder, out));
    expect(() => kubernetesJob(given, folder)).toThrow(message);
  });
});

describe("qdg sweep --engine", () => {
  test("slurm writes the script, says how to start it, and replaces none that is there", SHELL, async () => {
    const path = await writeSweep(folder, tinySweep(3), "written");
    const output = join(folder, "written.sbatch");
    const args = ["sweep", path, "--out", join(folder, "runs"), "--engine", "slurm", "-o", output];
    const { code, stderr } = await runCli(...args);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: `${output}: written\n3 jobs; start them with: sbatch ${output}\n`,
    });
    expect(await readFile(output, "utf8")).toContain("#SBATCH --array=0-2\n");
    expect(await runCli(...args)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("the file exists already") as string,
    });
    expect(await runCli(...args, "--force")).toMatchObject({ code: 0 });
  });

  test.each<[string, readonly string[], string]>([
    [
      "an option of another engine",
      ["--image", "a"],
      "--image: is for --engine kubernetes, got --engine local; leave it out",
    ],
    [
      "no file to write",
      ["--engine", "slurm"],
      "--output: got nothing, expected the file to write, as -o sweep.sbatch",
    ],
    [
      "an engine that there is not",
      ["--engine", "pbs"],
      '--engine: got "pbs", expected local or bullmq or slurm or kubernetes',
    ],
    [
      "one job of another engine",
      ["--engine", "bullmq", "--only", "0"],
      "--only: runs a job here, got --engine bullmq",
    ],
    ["no Redis", ["--engine", "bullmq"], "--redis: got nothing, expected where Redis is"],
  ])("with %s is wrong usage", async (_, args, message) => {
    const path = await writeSweep(folder, tinySweep(1), "usage");
    const { code, stderr } = await runCli("sweep", path, "--out", join(folder, "runs"), ...args);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) as string });
  });
});
