// Jobs by way of Redis, with a training that is pretended: Redis that is away, workers that meet, and what is refused of
// what comes out of Redis, which anybody may have written there.

import { access, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { EngineResult } from "../../src/sweep/engines/engine.js";
import { jobState } from "../../src/sweep/job-record.js";
import { type Sweep, type SweepJob } from "../../src/sweep/job.js";
import { coordinate } from "../../src/sweep/queue/coordinate.js";
import { queueName, PREFIX } from "../../src/sweep/queue/connection.js";
import { messageOf, storedOf } from "../../src/sweep/queue/job-message.js";
import { redisAddress } from "../../src/sweep/queue/redis-address.js";
import { putFiles } from "../../src/sweep/queue/stored-files.js";
import { work } from "../../src/sweep/queue/work.js";
import { workFolder } from "../../src/sweep/queue/work-folder.js";
import type { RunTrain } from "../../src/sweep/run-job.js";
import { readSweep } from "../../src/sweep/sweep-file.js";
import { RunFolder } from "../../src/train/run/run-folder.js";
import { REDIS } from "../support/needs.js";
import { RedisServer } from "./redis-server.js";
import {
  ENDED_WELL,
  optionsOf,
  pretendedTraining,
  tinySweep,
  writePretendedRun,
  writeSweep,
} from "./sweep-files.js";

const SLOW_MS = 120_000;

let folder = "";
let redis: RedisServer;
let stop: AbortController;
let started: Promise<unknown>[];
beforeAll(async () => {
  redis = await RedisServer.create();
});
afterAll(() => redis.remove());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-queue-"));
  stop = new AbortController();
  started = [];
});
afterEach(async () => {
  stop.abort();
  await Promise.allSettled(started);
  await rm(folder, { recursive: true, force: true });
});

const said = (): { lines: string[]; note: (text: string) => void } => {
  const lines: string[] = [];
  return { lines, note: (text) => void lines.push(text) };
};

interface Side<T> {
  readonly lines: string[];
  readonly done: Promise<T>;
}

/** A sweep of its own name, so that tests do not meet in one Redis. */
async function sweepOf(jobs: number, name: string): Promise<Sweep> {
  return readSweep(await writeSweep(folder, tinySweep(jobs), name));
}

function coordinator(sweep: Sweep, out = join(folder, "out"), url = redis.url): Side<EngineResult> {
  const { lines, note } = said();
  const done = coordinate({
    sweep,
    path: "sweep.json",
    out,
    jobs: 1,
    settings: { redis: url },
    program: [],
    runTrain: pretendedTraining,
    observer: {
      note,
      planned: () => undefined,
      started: (job, state) => note(`${job.name} ${state}`),
      finished: (job) => note(`${job.name} finished`),
      failed: (job, message) => note(`${job.name} failed: ${message}`),
    },
    signal: stop.signal,
  });
  started.push(done);
  return { lines, done };
}

function worker(runTrain: RunTrain = pretendedTraining, name = "work", url = redis.url): Side<void> {
  const { lines, note } = said();
  const done = work({
    redis: url,
    jobs: 1,
    folder: join(folder, name),
    lockSeconds: 1,
    untilEmpty: false,
    runTrain,
    observer: {
      note,
      listening: () => note("listening"),
      started: (job, goesOn) => note(`${job} ${goesOn ? "goes on" : "begins"}`),
      ended: (job, end) => note(`${job} ${end.state}`),
    },
    signal: stop.signal,
  });
  started.push(done);
  return { lines, done };
}

describe("jobs by way of Redis", REDIS, () => {
  beforeAll(() => redis.start());

  test("come back as run folders, and nothing of them stays in Redis but the queue's own books", async () => {
    const sweep = await sweepOf(3, "back");
    worker();
    const { done, lines } = coordinator(sweep);
    expect(await done).toMatchObject({ finished: 3, failed: 0, stopped: false });
    expect(lines).toContain("lsq-sketch-seed2 finished");
    for (const job of sweep.jobs) {
      const run = join(folder, "out", job.name);
      expect(await jobState(run, job)).toBe("finished");
      expect((await readdir(run)).sort()).toEqual(["job.json", "model.json", "results.jsonl", "run.json"]);
    }
    const client = new Redis(redis.url);
    expect((await client.keys("*")).filter((key) => key.includes("back"))).toEqual([]);
    client.disconnect();
  });

  test("are not run again once they are here", async () => {
    const sweep = await sweepOf(1, "again");
    const calls: string[] = [];
    worker((call) => {
      calls.push(call.output);
      return pretendedTraining(call);
    });
    await coordinator(sweep).done;
    expect(await coordinator(sweep).done).toMatchObject({ finished: 1, failed: 0 });
    expect(calls).toHaveLength(1);
  });

  test("of which two workers want one are trained by one of them", async () => {
    const sweep = await sweepOf(4, "two");
    const calls: unknown[] = [];
    const slow: RunTrain = async (call) => {
      calls.push(optionsOf(call.args)["seed"]);
      await setTimeout(200);
      return pretendedTraining(call);
    };
    worker(slow, "one");
    worker(slow, "other");
    expect(await coordinator(sweep).done).toMatchObject({ finished: 4 });
    expect(calls.sort((a, b) => Number(a) - Number(b))).toEqual([0, 1, 2, 3]);
  });

  test("whose lock a worker has lost are stopped there, and count once", async () => {
    const sweep = await sweepOf(1, "lost");
    const client = new Redis(redis.url);
    let calls = 0;
    const losing: RunTrain = async (call) => {
      if (calls++ > 0) return pretendedTraining(call);
      await writePretendedRun(optionsOf(call.args)["out"] as string, {});
      while (!call.signal.aborted) {
        await client.del(`${PREFIX}:${queueName()}:lost/lsq-sketch-seed0:lock`);
        await setTimeout(50);
      }
      return { ...ENDED_WELL, code: 143 };
    };
    const { lines } = worker(losing);
    expect(await coordinator(sweep).done).toMatchObject({ finished: 1, failed: 0 });
    expect(lines.filter((line) => line.includes("is stopped here: Redis has not heard of it"))).toHaveLength(
      1,
    );
    expect(calls).toBe(2);
    client.disconnect();
  });

  test("wait where their folder is in use, and say by whom", async () => {
    const sweep = await sweepOf(1, "in-use");
    const job = sweep.jobs[0] as SweepJob;
    const lock = await RunFolder.lock(
      workFolder(join(folder, "work"), { sweep: sweep.name, job, base: "" }),
      () => undefined,
    );
    const { lines } = worker();
    const { done } = coordinator(sweep);
    while (!lines.some((line) => line.includes("is in use by process"))) await setTimeout(20);
    expect(lines.find((line) => line.includes("in use"))).toContain(`is in use by process ${process.pid} on`);
    await lock.release();
    expect(await done).toMatchObject({ finished: 1 });
  });

  test("go on elsewhere from the checkpoint that the last worker has left, which is compared with its hash", async () => {
    const sweep = await sweepOf(1, "left");
    const found: string[] = [];
    let calls = 0;
    const killed: RunTrain = async (call) => {
      const { out } = optionsOf(call.args) as { readonly out: string };
      if (calls++ > 0) {
        found.push(await readFile(join(out, "checkpoint.bin"), "utf8"), ...call.args.slice(-1));
        return pretendedTraining(call);
      }
      await writePretendedRun(out, {});
      await writeFile(join(out, "checkpoint.bin"), "of the first worker");
      call.onSaved?.(1);
      await setTimeout(500);
      // As a machine that has gone: nothing of its disk is left.
      await rm(join(folder, "work"), { recursive: true });
      return { code: null, signal: "SIGKILL", error: null, notes: 0 };
    };
    worker(killed);
    const { done, lines } = coordinator(sweep);
    expect(await done, lines.join("\n")).toMatchObject({ finished: 1 });
    expect(found).toEqual(["of the first worker", "--resume"]);
  });

  test("that fail are told with their message and the others go on; a second call tries them again", async () => {
    const sweep = await sweepOf(2, "failing");
    let isBroken = true;
    worker((call) => {
      if (!isBroken || optionsOf(call.args)["seed"] !== 0) return pretendedTraining(call);
      return Promise.resolve({
        code: 1,
        signal: null,
        error: "PACS: there is no such folder [not-found]",
        notes: 0,
      });
    });
    const { done, lines } = coordinator(sweep);
    expect(await done).toMatchObject({ finished: 1, failed: 1 });
    expect(lines.find((line) => line.includes("failed"))).toMatch(
      /seed0 failed: PACS: there is no such folder \[not-found\] \(on .+\)/,
    );
    isBroken = false;
    expect(await coordinator(sweep).done).toMatchObject({ finished: 2, failed: 0 });
  });

  test("of other options under one name are refused before any is put in", async () => {
    const sweep = await sweepOf(1, "named");
    const first = coordinator(sweep);
    await setTimeout(500);
    const other = await readSweep(
      await writeSweep(
        folder,
        { ...tinySweep(1), options: { ...(tinySweep(1).options as object), steps: 99 } },
        "named",
      ),
    );
    await expect(coordinator(other, join(folder, "other")).done).rejects.toThrow(
      "queue qdg: has a job lsq-sketch-seed0 with other options, of a sweep of the same name",
    );
    stop.abort();
    expect(await first.done).toMatchObject({ stopped: true });
  });

  test("that were changed on their way are not trained", async () => {
    const sweep = await sweepOf(1, "changed");
    const job = sweep.jobs[0] as SweepJob;
    const client = new Redis(redis.url, { maxRetriesPerRequest: null });
    const queue = new Queue(queueName(), { connection: client, prefix: PREFIX });
    const good = messageOf({ sweep: sweep.name, job, base: "/" }) as Readonly<Record<string, unknown>>;
    const bad: readonly (readonly [string, object])[] = [
      ["is of qdg 0.0.1, and this is", { ...good, qdg: "0.0.1" }],
      [
        "its options are not those that it was made with",
        { ...good, options: { ...job.options, data: "/etc" } },
      ],
      ['name: "../../evil" is no name of a folder', { ...good, name: "../../evil" }],
      ['sweep: ".." is no name of a folder', { ...good, sweep: ".." }],
      ["got nothing, expected text", {}],
    ];
    const jobs = await Promise.all(bad.map(([, data]) => queue.add("train", data)));
    worker(() => Promise.reject(new Error("nothing may be trained")));
    for (const [i, [message]] of bad.entries()) {
      const id = (jobs[i] as { readonly id?: string }).id as string;
      await expect
        .poll(async () => (await queue.getJob(id))?.failedReason, { timeout: 10_000 })
        .toContain(message);
      await (await queue.getJob(id))?.remove();
    }
    client.disconnect();
  });
});

/** What a worker that is none of ours might give back. */
describe("a result", REDIS, () => {
  beforeAll(() => redis.start());

  type Change = (stored: {
    upload: string;
    files: { name: string; bytes: number; sha256: string }[];
  }) => object;
  test.each<[string, Change, string]>([
    ["of another version of qdg", (stored) => ({ ...stored, qdg: "0.0.1" }), "is of qdg 0.0.1, and this is"],
    [
      "of other options",
      (stored) => ({ ...stored, identity: "0".repeat(64) }),
      "is of other options than lsq-sketch-seed0 has",
    ],
    [
      "with a path out of the folder",
      (stored) => ({ ...stored, files: [{ ...stored.files[0], name: "../../evil" }] }),
      '"../../evil" is no file of a run folder',
    ],
    [
      "with a file that no run has",
      (stored) => ({ ...stored, files: [{ ...stored.files[0], name: "job.json" }] }),
      '"job.json" is no file of a run folder',
    ],
    [
      "that is larger than any run",
      (stored) => ({ ...stored, files: [{ ...stored.files[0], bytes: 2 ** 40 }] }),
      "expected at most 1073741824",
    ],
    [
      "whose bytes are others",
      (stored) => ({ ...stored, files: stored.files.map((file) => ({ ...file, sha256: "0".repeat(64) })) }),
      "has another SHA-256 than was said",
    ],
    [
      "of which a part is missing",
      (stored) => ({ ...stored, files: stored.files.map((file) => ({ ...file, bytes: file.bytes + 1 })) }),
      "bytes of a chunk in Redis",
    ],
    ["that says nothing", () => ({}), "qdg: got nothing, expected text"],
  ])("%s is refused, and nothing of it is written", async (_, change, message) => {
    expect(await refusal(change, {})).toContain(message);
  });

  test.each<[string, object, string]>([
    ["that has not ended", { last: 6 }, "its run has come to step 6 of 12"],
    ["of other options than it was asked for", { options: { bits: 8 } }, "its run has bits 8, expected 3"],
    ["whose run another version has made", { qdg: "0.0.2" }, "its run is of qdg 0.0.2, and this is"],
  ])("%s is refused, and nothing of it is written", async (_, run, message) => {
    expect(await refusal((stored) => stored, run)).toContain(message);
  });

  /** What the sweep says of the result; where anything was written, the test fails. */
  async function refusal(
    change: Change,
    run: { last?: number; options?: object; qdg?: string },
  ): Promise<string> {
    const sweep = await sweepOf(1, "hostile");
    const job = sweep.jobs[0] as SweepJob;
    const made = join(folder, "made");
    await writePretendedRun(
      made,
      { ...job.options, ...run.options, ...(run.last && { steps: run.last }) },
      run.qdg,
    );
    if (run.last) {
      const path = join(made, "run.json");
      await writeFile(path, (await readFile(path, "utf8")).replace(`"steps":${run.last}`, '"steps":12'));
    }
    const client = new Redis(redis.url, { maxRetriesPerRequest: null });
    const hostile = new Worker(
      queueName(),
      async ({ id }) => {
        const place = { redis: client, queue: queueName(), id: id as string };
        const stored = await putFiles(place, made, ["run.json", "results.jsonl"]);
        return change(storedOf(job, stored) as unknown as Parameters<Change>[0]);
      },
      { connection: client, prefix: PREFIX },
    );
    const { done, lines } = coordinator(sweep);
    expect(await done).toMatchObject({ finished: 0, failed: 1 });
    await expect(access(join(folder, "out", job.name, "run.json"))).rejects.toThrow("ENOENT");
    await expect(access(join(folder, "evil"))).rejects.toThrow("ENOENT");
    await hostile.close();
    client.disconnect();
    return lines.find((line) => line.includes("failed: its result is refused: ")) ?? lines.join("\n");
  }
});

describe("Redis that is away", REDIS, () => {
  beforeEach(() => redis.stop());
  afterAll(() => redis.start());

  test("is said once on each side, and both go on by themselves once it is there", async () => {
    const sweep = await sweepOf(1, "late");
    const [{ done, lines }, { lines: ofWorker }] = [coordinator(sweep), worker()];
    await setTimeout(2500);
    await redis.start();
    expect(await done).toMatchObject({ finished: 1, failed: 0 });
    for (const side of [lines, ofWorker]) {
      expect(side.filter((line) => line.includes("cannot be reached (nothing listens there)"))).toHaveLength(
        1,
      );
      expect(side.filter((line) => line.includes("is there; goes on"))).toHaveLength(1);
    }
  });

  test(
    "in the middle of a job, and comes back with what it held, costs nothing",
    async () => {
      await redis.start();
      const sweep = await sweepOf(2, "middle");
      let calls = 0;
      const slow: RunTrain = async (call) => {
        if (calls++ === 0) {
          await redis.stop();
          await setTimeout(2500);
          await redis.start();
        }
        return pretendedTraining(call);
      };
      const { lines: ofWorker } = worker(slow);
      const { done, lines } = coordinator(sweep);
      expect(await done).toMatchObject({ finished: 2, failed: 0 });
      for (const side of [lines, ofWorker]) {
        expect(side.filter((line) => /has closed the connection|cannot be reached/.test(line))).toHaveLength(
          1,
        );
      }
    },
    SLOW_MS,
  );

  test(
    "and comes back without anything gets the jobs again",
    async () => {
      await redis.start();
      const sweep = await sweepOf(1, "empty");
      const { done, lines } = coordinator(sweep);
      await setTimeout(1000);
      const client = new Redis(redis.url);
      await client.flushall();
      client.disconnect();
      worker();
      expect(await done).toMatchObject({ finished: 1, failed: 0 });
      expect(lines.filter((line) => line.includes("is no longer in Redis"))).toHaveLength(1);
    },
    SLOW_MS,
  );

  test("does not keep a sweep or a worker that is asked to stop", async () => {
    const sweep = await sweepOf(1, "stopped");
    const sides = [coordinator(sweep), worker()] as const;
    await setTimeout(300);
    stop.abort();
    expect(await sides[0].done).toMatchObject({ stopped: true });
    await sides[1].done;
    expect(sides[0].lines.join("\n")).not.toContain("jobs stay in the queue");
  });
});

describe("the URL of Redis", () => {
  test.each<[string, object]>([
    ["redis://host", { host: "host", port: 6379, db: 0, shown: "redis://host:6379" }],
    ["redis://:p%40ss@host:7000/2", { password: "p@ss", db: 2, shown: "redis://host:7000/2" }],
    [
      "rediss://me:pass@[::1]:1",
      { host: "::1", username: "me", isEncrypted: true, shown: "rediss://[::1]:1" },
    ],
  ])("%s is read, and shown without a password", (url, expected) => {
    expect(redisAddress(url)).toMatchObject(expected);
  });

  test.each([
    "http://:pass@host",
    "redis://:pass@host/x",
    "redis://:%zzpass@host",
    "redis://:pass@host?a=b",
    "pass",
  ])("%s is refused without being repeated", (url) => {
    expect(() => redisAddress(url)).toThrow(/^--redis: got (?!.*pass\b(?!word))/);
  });
});
