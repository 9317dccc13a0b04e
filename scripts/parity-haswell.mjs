// Integers without VNNI, on emulated processors: there the kernels for signed 8-bit weights add pairs of products in
// 16 bits and saturate. Our weights are found so that no pair can, and must be exact; the same model with weights that
// break the rule in the pairs that meet must not be, or this check would prove nothing. Which pairs meet is measured,
// kernel by kernel. Needs qemu-x86_64 (Debian: qemu-user).

import { spawnSync } from "node:child_process";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { decodeModel, encodeModel, exportModel, rangePreprocessing } from "../dist/index.js";
import { ONE_PROCESS } from "../dist/cli/supervise.js";
import { drawSet, SHAPE_IMAGE_SIZE, SHAPE_LABELS } from "../dist/image/draw-shapes.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const folder = join(root, "out", "haswell");
const IMAGES = 70;
const SEED = 4;
const COMPARED = "5";
/** Element types of ONNX. */
const UINT8 = 2;
const INT8 = 3;

/** With pairs in 16 bits (AVX2), and before (SSE4). */
const MACHINES = ["Haswell", "Nehalem"];
const fitted = join(folder, "shapes-8bit.onnx");
const free = join(folder, "shapes-8bit-free.onnx");
// Weights of few bits come to the kernel times a power of two, as large as the pairs allow.
const fine = join(folder, "shapes-4bit.onnx");
const broken = join(folder, "shapes-8bit-broken.onnx");

await rm(folder, { recursive: true, force: true });
await writeImages(join(folder, "images"));
await exported(fitted, { bits: 8 });
await exported(free, { bits: 8, freeWeights: true });
await exported(fine, { bits: 4 });
const signedCopy = withSignedWeights(await readFile(free));
await writeFile(broken, signedCopy.bytes);
say(`8-bit weights under the rule, and as near as 8 bits allow: ${signedCopy.weights} of those break it`);

for (const machine of [null, ...MACHINES]) expectExit(0, machine, fitted);
expectExit(0, "Haswell", fine);
expectExit(3, "Haswell", broken);
for (const machine of MACHINES) expectPairs(machine);
say("PASSED: weights of 8 and 4 bits are exact without VNNI, and those that break the rule are caught");

async function writeImages(path) {
  const { pixels, labels } = drawSet(IMAGES, SEED);
  const raw = { width: SHAPE_IMAGE_SIZE, height: SHAPE_IMAGE_SIZE, channels: 3 };
  const bytesEach = raw.width * raw.height * raw.channels;
  for (const label of SHAPE_LABELS) await mkdir(join(path, label), { recursive: true });
  for (const [i, label] of labels.entries()) {
    const image = sharp(pixels.subarray(i * bytesEach, (i + 1) * bytesEach), { raw });
    await image.png().toFile(join(path, SHAPE_LABELS[label], `${i}.png`));
  }
}

/** The model in models/shapes without the scales that it learned at 3 bits, so that others are found at 8. */
async function exported(output, options) {
  const source = join(root, "models", "shapes");
  const model = JSON.parse(await readFile(join(source, "model.json"), "utf8"));
  delete model.userDefinedMetadata;
  await writeFile(join(folder, "model.json"), JSON.stringify(model));
  await cp(join(source, "weights.bin"), join(folder, "weights.bin"));
  await exportModel({
    model: join(folder, "model.json"),
    output,
    ...options,
    calibration: [join(folder, "images")],
    preprocessing: rangePreprocessing(0, 1),
    labels: SHAPE_LABELS,
  });
}

/** Every weight with zero point 128 as int8 with zero point 0: the same numbers, the other kernel. */
function withSignedWeights(bytes) {
  const model = decodeModel(bytes);
  const { graph } = model;
  const initializers = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  const signedTensors = new Map();
  let weights = 0;
  for (const { opType, input = [] } of graph.node) {
    if (opType !== "DequantizeLinear") continue;
    const weight = initializers.get(input[0]);
    const zeroPoint = initializers.get(input[2]);
    if (weight?.dataType !== UINT8 || zeroPoint?.dataType !== UINT8) continue;
    for (const tensor of [weight, zeroPoint]) {
      const rawData = Uint8Array.from(tensor.rawData, (byte) => byte - 128);
      signedTensors.set(tensor.name, { ...tensor, dataType: INT8, rawData });
    }
    weights++;
  }
  if (weights === 0) throw new Error("no weight with zero point 128 found in the file");
  const initializer = graph.initializer.map((tensor) => signedTensors.get(tensor.name) ?? tensor);
  return { bytes: encodeModel({ ...model, graph: { ...graph, initializer } }), weights };
}

/** Runs a script of Node and waits for it. @param machine of qemu, or null for this one */
function run(machine, args) {
  const [command, ...rest] = machine
    ? ["qemu-x86_64", "-cpu", machine, process.execPath, ...args]
    : [process.execPath, ...args];
  const started = performance.now();
  const { error, status, stdout, stderr } = spawnSync(command, rest, {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    // A second process of the command would run on this machine, not on the emulated one.
    env: { ...process.env, [ONE_PROCESS]: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (error)
    throw new Error(`${command} cannot be run (${error.message}); Debian: apt-get install qemu-user`);
  return { status, stdout, stderr, seconds: ((performance.now() - started) / 1000).toFixed(1) };
}

function fail(why, stderr) {
  process.stderr.write(stderr);
  say(`FAILED: ${why}`);
  process.exit(1);
}

/** Runs `qdg parity` and ends the script unless it exits with `expected`. */
function expectExit(expected, machine, file) {
  const cli = join(root, "dist", "cli", "main.js");
  const args = [cli, "parity", file, "--data", join(folder, "images"), "--count", COMPARED];
  args.push("--targets", "cpu", "--intermediates", "--json");
  const { status, stdout, stderr, seconds } = run(machine, args);
  say(`${machine ?? "host"}, ${basename(file)}: exit ${status}, ${summary(stdout)}, ${seconds} s`);
  if (status !== expected) fail(`got exit code ${status}, expected ${expected}`, stderr);
}

/** Ends the script unless all pairs that meet by the rule saturate on Haswell, no others anywhere, and the rule holds. */
function expectPairs(machine) {
  const { status, stdout, stderr, seconds } = run(machine, [join(root, "scripts", "pair-kernels.mjs")]);
  if (status !== 0) fail(`pair-kernels.mjs ended with exit code ${status}`, stderr);
  const lines = stdout.trim().split("\n");
  const totals = JSON.parse(lines.at(-1));
  const { meeting, meetingSaturated, apart, apartSaturated, outputs, differ } = totals;
  say(
    `${machine}, ${lines.length - 1} shapes: ${meetingSaturated} of ${meeting} pairs that meet saturate, ${apartSaturated} of ${apart} others; ${differ} of ${outputs} outputs differ within the rule, ${seconds} s`,
  );
  const expected = machine === "Haswell" ? meeting : meetingSaturated;
  if (meetingSaturated === expected && apartSaturated === 0 && differ === 0) return;
  say(lines.slice(0, -1).join("\n"));
  fail("the pairs that meet are not those of lower/pair-sums.ts", stderr);
}

/** What a report in JSON says, in a few words. */
function summary(json) {
  if (!json.trim()) return "no report";
  const mismatches = JSON.parse(json).targets[0].tensors.map((tensor) => tensor.mismatches);
  const count = mismatches.reduce((sum, each) => sum + each.count, 0);
  const total = mismatches.reduce((sum, each) => sum + each.total, 0);
  const steps = Math.max(...mismatches.map((each) => each.largestSteps));
  return `${count} of ${total} quantized elements differ, by up to ${steps} steps`;
}

function say(text) {
  process.stdout.write(`${text}\n`);
}
