// Parity on an x86-64 without VNNI, emulated: there the integer kernel for signed 8-bit weights adds pairs of
// products in 16 bits and saturates. Our 8-bit weights are unsigned and must be exact; the same file with
// signed weights must not be, or this check would prove nothing. Needs qemu-x86_64 (Debian: qemu-user).

import { spawnSync } from "node:child_process";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { decodeModel, encodeModel, exportModel, rangePreprocessing } from "../dist/index.js";
import { drawSet, SHAPE_IMAGE_SIZE, SHAPE_LABELS } from "../dist/image/draw-shapes.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const folder = join(root, "out", "haswell");
const IMAGES = 70;
const SEED = 4;
const COMPARED = "5";
/** Element types of ONNX. */
const UINT8 = 2;
const INT8 = 3;

const unsigned = join(folder, "shapes-8bit.onnx");
const signed = join(folder, "shapes-8bit-signed-weights.onnx");

await rm(folder, { recursive: true, force: true });
await writeImages(join(folder, "images"));
await exportAt8Bits(unsigned);
const signedCopy = withSignedWeights(await readFile(unsigned));
await writeFile(signed, signedCopy.bytes);
say(`${signedCopy.weights} 8-bit weights exported, and once more as signed integers`);

expectExit(0, "host", process.execPath, unsigned);
expectExit(0, "Haswell", "qemu-x86_64", unsigned);
expectExit(3, "Haswell", "qemu-x86_64", signed);
say("PASSED: unsigned 8-bit weights are exact without VNNI, and signed ones are caught");

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
async function exportAt8Bits(output) {
  const source = join(root, "models", "shapes");
  const model = JSON.parse(await readFile(join(source, "model.json"), "utf8"));
  delete model.userDefinedMetadata;
  await writeFile(join(folder, "model.json"), JSON.stringify(model));
  await cp(join(source, "weights.bin"), join(folder, "weights.bin"));
  await exportModel({
    model: join(folder, "model.json"),
    output,
    bits: 8,
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

/** Runs `qdg parity` and ends the script unless it exits with `expected`. */
function expectExit(expected, machine, command, file) {
  const cli = join(root, "dist", "cli", "main.js");
  const args = [cli, "parity", file, "--data", join(folder, "images"), "--count", COMPARED];
  args.push("--targets", "cpu", "--intermediates", "--json");
  const emulated = command === process.execPath ? args : ["-cpu", "Haswell", process.execPath, ...args];
  const started = performance.now();
  const { error, status, stdout, stderr } = spawnSync(command, emulated, {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    stdio: ["ignore", "pipe", "pipe"],
    // In the process that is emulated: one that it starts would run on the machine's own processor.
    env: { ...process.env, QDG_ONE_PROCESS: "1" },
  });
  if (error)
    throw new Error(`${command} cannot be run (${error.message}); Debian: apt-get install qemu-user`);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  say(`${machine}, ${basename(file)}: exit ${status}, ${summary(stdout)}, ${seconds} s`);
  if (status === expected) return;
  process.stderr.write(stderr);
  say(`FAILED: got exit code ${status}, expected ${expected}`);
  process.exit(1);
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
