// The public API for Node: what it exports can be used, and costs nothing before it is.

import { createRequire } from "node:module";
import { expect, test } from "vitest";
import type { DeployOptions, EvaluateOptions } from "../src/index.js";
import type { TrainRequest } from "../src/train.js";

const HEAVY = [
  "@tensorflow/",
  "onnxruntime-node/",
  "onnxruntime-web/",
  "sharp/",
  "playwright-core/",
  "commander/",
  "bullmq/",
  "ioredis/",
];

/** Which of the heavy packages this process has loaded. */
function loaded(): string[] {
  const files = Object.keys(createRequire(import.meta.url).cache);
  return HEAVY.filter((name) => files.some((file) => file.includes(`/node_modules/${name}`)));
}

/** Command -> what it is as a function; demo is made of others. */
const OF_QDG = {
  export: "exportModel",
  inspect: "inspectFile",
  parity: "parity",
  certify: "certify",
  run: "classifyImages",
  evaluate: "evaluate",
  report: "trainingReport",
  deploy: "deploySite",
  serve: "serveSite",
  sweep: "runSweep",
  work: "work",
} as const;

test("importing qdg loads no runtime, no image library and no browser before one is asked for", async () => {
  const qdg = await import("../src/index.js");
  expect(Object.values(OF_QDG).map((name) => typeof qdg[name])).toEqual(
    Object.values(OF_QDG).map(() => "function"),
  );
  expect(typeof qdg.verifyCertificate).toBe("function");
  expect(loaded()).toEqual([]);
  // That the check sees what is loaded.
  await expect(qdg.decodeImage("package.json")).rejects.toThrow(/cannot be decoded/);
  expect(loaded()).toEqual(["sharp/"]);
});

test("every command is a function of the package: training of qdg/train, all others of qdg", async () => {
  const { qdgProgram } = await import("../src/cli/program.js");
  const commands = qdgProgram()
    .commands.map((command) => command.name())
    .filter((name) => name !== "demo" && name !== "help");
  expect(commands.sort()).toEqual([...Object.keys(OF_QDG), "train"].sort());
  const { train } = await import("../src/train.js");
  const request: TrainRequest = { options: {}, out: "nowhere", resume: true, force: true };
  await expect(train(request)).rejects.toThrow("--force: replaces the run that --resume would go on with");
});

test("sweeps and workers refuse what they cannot do, as functions too", async () => {
  const { QDG_COMMAND, runSweep, trainProcess, work } = await import("../src/index.js");
  const sweep = { name: "none", base: "/", jobs: [] };
  const common = { runTrain: trainProcess, program: QDG_COMMAND };
  const options = { ...common, sweep, path: "none.json", out: "nowhere", engine: "pbs" };
  await expect(runSweep(options)).rejects.toThrow('engine: got "pbs", expected local or bullmq');
  const observer = { note() {}, listening() {}, started() {}, ended() {} };
  const { signal } = new AbortController();
  const worker = { redis: "http://", jobs: 1, folder: "nowhere", lockSeconds: 1, untilEmpty: true };
  await expect(work({ ...common, ...worker, observer, signal })).rejects.toThrow(
    "--redis: got something that",
  );
});

test("evaluation, reports and sites refuse what they cannot do, as functions too", async () => {
  const { deploySite, evaluate, trainingReport } = await import("../src/index.js");
  const options: EvaluateOptions = { models: [], data: "shapes-dg", targets: ["cpu"] };
  await expect(evaluate(options)).rejects.toThrow("models: got none, expected a model.json or .onnx file");
  await expect(trainingReport(["nowhere"])).rejects.toThrow("nowhere");
  const site: DeployOptions = { folder: "nowhere", to: "nowhere-else" };
  await expect(deploySite(site)).rejects.toThrow("nowhere");
});
