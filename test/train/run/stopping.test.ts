// What only a process of its own can show: a run that is killed, one that is interrupted, and the command line
// around it. What they leave is compared with a run that was never stopped, within this process.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { flagOf } from "../../../src/train/run/option-table.js";
import type { TrainOptionName } from "../../../src/train/run/train-options.js";
import { train } from "../../../src/train/run/train.js";
import { buildCli, QDG } from "../../support/built-cli.js";
import { contentOf, type RunContent, TINY } from "./tiny-run.js";

const SLOW_MS = 120_000;

let folder = "";
let whole: RunContent;
beforeAll(async () => {
  buildCli();
  folder = await mkdtemp(join(tmpdir(), "qdg-stopping-"));
  await train({ options: TINY, out: join(folder, "whole") });
  whole = await contentOf(join(folder, "whole"));
}, SLOW_MS);
afterAll(() => rm(folder, { recursive: true }));

/** TINY as a user would type it; with a worker thread, which must change nothing. */
const TYPED: readonly string[] = Object.entries({ ...TINY, threads: 1 }).flatMap(([name, value]) =>
  // Numbers, texts, and one list of texts.
  [flagOf(name as TrainOptionName), value].flat().map((each: unknown) => String(each as string | number)),
);

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param onError called with all of stderr so far and a way to send signals, whenever there is more */
function qdgTrain(
  args: readonly string[],
  onError: (stderr: string, send: (signal: NodeJS.Signals) => void) => void = () => undefined,
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn("node", [QDG, "train", ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
      onError(stderr, (signal) => child.kill(signal));
    });
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** Sends the signals one by one, each once its word is on stderr. */
function sendAt(...moments: readonly (readonly [word: string, signal: NodeJS.Signals])[]) {
  let next = 0;
  return (stderr: string, send: (signal: NodeJS.Signals) => void): void => {
    const [word, signal] = moments[next] ?? [];
    if (word === undefined || signal === undefined || !stderr.includes(word)) return;
    next++;
    send(signal);
  };
}

describe("qdg train", () => {
  test(
    "that was killed twice ends like one that never was, by --resume alone",
    async () => {
      const out = join(folder, "killed");
      const first = await qdgTrain([...TYPED, "--out", out], sendAt(["step 4, integer network", "SIGKILL"]));
      expect(first).toMatchObject({ signal: "SIGKILL" });
      const second = await qdgTrain(
        ["--out", out, "--resume"],
        sendAt(["step 8, integer network", "SIGKILL"]),
      );
      expect(second).toMatchObject({ signal: "SIGKILL" });
      expect(second.stderr).toContain("goes on after step 3 of 12");
      const third = await qdgTrain(["--out", out, "--resume"]);
      expect(third).toMatchObject({ code: 0, stdout: "" });
      expect(third.stderr).toMatch(/goes on after step [67] of 12/);
      expect(await contentOf(out)).toEqual(whole);
    },
    SLOW_MS,
  );

  test.each<[NodeJS.Signals, number]>([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ])(
    "on %s saves, says how to go on, and exits with %i",
    async (signal, code) => {
      const out = join(folder, `on ${signal}`);
      const stopped = await qdgTrain([...TYPED, "--out", out], sendAt(["step 4, integer network", signal]));
      expect(stopped).toMatchObject({ code, signal: null, stdout: "" });
      expect(stopped.stderr).toMatch(/stopped after step \d+ of 12; .*checkpoint\.bin is saved/);
      expect(stopped.stderr).toContain(`go on with: qdg train --out '${out}' --resume\n`);
      expect(await qdgTrain(["--out", out, "--resume"])).toMatchObject({ code: 0 });
      expect(await contentOf(out)).toEqual(whole);
    },
    SLOW_MS,
  );

  test(
    "prints the result as JSON when asked, and tells the rest on stderr",
    async () => {
      const { code, stdout, stderr } = await qdgTrain(["--out", join(folder, "whole"), "--resume", "--json"]);
      expect(code).toBe(0);
      const result = JSON.parse(stdout) as Record<string, unknown>;
      expect(result).toMatchObject({ finished: true, step: 12, model: join(folder, "whole", "model.json") });
      expect(stderr).toMatch(/sketch +held out/);
      expect(stderr).toContain(`next: qdg-export ${join(folder, "whole", "model.json")} --bits 3\n`);
      expect(stderr).toContain("qdg evaluate ");
    },
    SLOW_MS,
  );

  test(
    "stops with one line when no more can be written, and goes on when it can",
    async () => {
      const out = join(folder, "full");
      // A limit on the size of files stands in for the disk: the first checkpoint does not fit, or the log.
      const before = await qdgTrain([...TYPED, "--out", out], sendAt(["step 4, integer network", "SIGINT"]));
      expect(before.code).toBe(130);
      const checkpoint = await readFile(join(out, "checkpoint.bin"));
      const limited = spawn("bash", [
        "-c",
        'ulimit -f 900 && exec node "$@"',
        "bash",
        QDG,
        "train",
        "--out",
        out,
        "--resume",
      ]);
      let stderr = "";
      limited.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
      const code = await new Promise((resolve) => limited.on("close", resolve));
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /error: [^\n]*checkpoint\.bin: cannot be written: EFBIG[^\n]*nothing was changed \[io\]\n$/,
      );
      expect(checkpoint.equals(await readFile(join(out, "checkpoint.bin")))).toBe(true);
      expect(await qdgTrain(["--out", out, "--resume"])).toMatchObject({ code: 0 });
      expect(await contentOf(out)).toEqual(whole);
    },
    SLOW_MS,
  );
});
