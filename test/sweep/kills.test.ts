// Twenty jobs, two workers, ten kills at random points: what comes out is bit for bit what an undisturbed sweep has.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readSweep } from "../../src/sweep/sweep-file.js";
import { train } from "../../src/train/run/train.js";
import { buildCli } from "../support/built-cli.js";
import { seeded } from "../support/layers-models.js";
import { REDIS } from "../support/needs.js";
import { contentOf, type RunContent } from "../train/run/tiny-run.js";
import { RedisServer } from "./redis-server.js";
import { tinySweep, writeSweep } from "./sweep-files.js";
import { QdgProcess } from "./sweep-process.js";

const JOBS = 20;
const KILLS = 10;
const SLOW_MS = 600_000;

let folder = "";
let redis: RedisServer;
beforeAll(async () => {
  buildCli();
  folder = await mkdtemp(join(tmpdir(), "qdg-kills-"));
  redis = await RedisServer.create();
}, SLOW_MS);
afterAll(async () => {
  await redis.remove();
  await rm(folder, { recursive: true, force: true });
});

/** What a run has come to; the files beside it are the queue's. */
async function resultOf(path: string): Promise<Omit<RunContent, "files">> {
  const { files: _, ...content } = await contentOf(path);
  return content;
}

describe("a sweep over two workers", REDIS, () => {
  test(
    "whose workers are killed ten times ends bit for bit as one that nobody disturbs",
    async () => {
      // Said by a failure, so that the same kills can be tried again.
      const seed = Math.floor(Math.random() * 2 ** 31);
      const random = seeded(seed);
      const path = await writeSweep(folder, tinySweep(JOBS / 2, ["lsq", "gaqat"]));
      const out = join(folder, "killed");
      await redis.start();

      const sweep = new QdgProcess("sweep", path, "--out", out, "--engine", "bullmq", "--redis", redis.url);
      let workers = 0;
      // Each has a folder of its own, as machines that share no file system.
      const start = (): QdgProcess =>
        new QdgProcess(
          "work",
          "--redis",
          redis.url,
          "--lock",
          "2",
          "--folder",
          join(folder, `work-${workers++}`),
        );
      const both = [start(), start()];
      let kills = 0;
      while (kills < KILLS && !sweep.hasEnded) {
        const i = random() < 0.5 ? 0 : 1;
        const victim = both[i] as QdgProcess;
        // A sweep that ends gives workers nothing to say.
        await Promise.race([victim.says(/: (begins|goes on)/), sweep.ended]);
        if (sweep.hasEnded) break;
        await setTimeout(2500 * random());
        await victim.kill(random() < 0.5);
        kills++;
        both[i] = start();
      }
      const code = await sweep.ended;
      for (const worker of both) await worker.kill(true);
      expect({ seed, code, kills, failed: /FAILED.*/.exec(sweep.stderr)?.[0] }).toEqual({
        seed,
        code: 0,
        kills: KILLS,
      });

      const { jobs } = await readSweep(path);
      expect(jobs).toHaveLength(JOBS);
      for (const { name, options } of jobs) {
        const whole = join(folder, "whole", name);
        await train({ options, out: whole });
        expect(await resultOf(join(out, name)), `${name}, kills of seed ${seed}`).toEqual(
          await resultOf(whole),
        );
      }
      expect(sweep.stdout).toContain("Accuracy in % on all images of the held-out domain");
    },
    SLOW_MS,
  );
});
