// Trains models/shapes: first in float, then with 3-bit quantizers whose scales are learned (LSQ), on images
// that code draws. Writes model.json and weights.bin beside itself. After `npm run build`: node models/shapes/train.mjs

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { drawSet, SHAPE_IMAGE_SIZE, SHAPE_LABELS } from "../../dist/image/draw-shapes.js";
import { fakeQuantize } from "../../dist/quant/affine.js";
import { buildNetwork, buildQuantizers, forward, INPUT_SCALE, weightAxis } from "./network.mjs";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));
const BATCH = 64;
const TRAINING = { count: 14_000, seed: 1 };
const HELD_OUT = { count: 2_000, seed: 2 };
const FLOAT_EPOCHS = 11;
const QUANTIZED_EPOCHS = 11;
/** The last ones of them keep batch norm at its moving statistics, as the deployed network has it. */
const FROZEN_EPOCHS = 4;

const started = performance.now();
const tf = await importTensorflow();
const training = draw(TRAINING);
const heldOut = draw(HELD_OUT);
const model = buildNetwork(tf, SHAPE_IMAGE_SIZE, SHAPE_LABELS.length);
const parameters = model.trainableWeights.map((weight) => weight.read());
say(`${model.countParams()} parameters, backend ${tf.getBackend()}`);

await train("float", {
  epochs: FLOAT_EPOCHS,
  rate: 3e-3,
  variables: parameters,
  logits: (x) => forward(tf, model, x, { training: true }),
});
const floatAccuracy = accuracy((x) => model.predict(x));
say(`float network: ${percent(floatAccuracy)}`);

const quantizers = buildQuantizers(tf, model);
tf.tidy(() => forward(tf, model, batch(training, range(BATCH)).x, { quantizers }));
const scales = [...new Set(quantizers.values())].map((quantizer) => quantizer.logScale);
await train("3 bits", {
  epochs: QUANTIZED_EPOCHS,
  rate: 2e-3,
  variables: [...parameters, ...scales],
  logits: (x, epoch) =>
    forward(tf, model, x, { quantizers, training: epoch < QUANTIZED_EPOCHS - FROZEN_EPOCHS }),
});
const quantizedAccuracy = accuracy((x) => forward(tf, model, x, { quantizers }));
const latentAccuracy = accuracy((x) => model.predict(x));
say(`3-bit network: ${percent(quantizedAccuracy)}; its weights run in float: ${percent(latentAccuracy)}`);

verify();
await save();
say(`saved after ${((performance.now() - started) / 1000).toFixed(0)} s`);

/** tfjs-node where scripts/setup-tensorflow.mjs has put it, else plain tfjs, which computes the same. */
async function importTensorflow() {
  process.env.TF_CPP_MIN_LOG_LEVEL ??= "2";
  try {
    return (await import("@tensorflow/tfjs-node")).default;
  } catch (error) {
    say(`tfjs-node cannot be used (${String(error).split("\n")[0]}); plain tfjs needs hours for this.`);
    say("npm run setup:tensorflow installs it.");
    return await import("@tensorflow/tfjs");
  }
}

function draw({ count, seed }) {
  const { pixels, labels } = drawSet(count, seed);
  say(`${count} images drawn from seed ${seed}`);
  return { pixels, labels };
}

/** x [n, H, W, 3] in 0..1 and y [n, classes] one-hot of the images at `indices`. */
function batch({ pixels, labels }, indices) {
  const bytes = SHAPE_IMAGE_SIZE * SHAPE_IMAGE_SIZE * 3;
  const values = new Float32Array(indices.length * bytes);
  indices.forEach((index, i) => {
    for (let j = 0; j < bytes; j++) values[i * bytes + j] = pixels[index * bytes + j] / 255;
  });
  return {
    x: tf.tensor(values, [indices.length, SHAPE_IMAGE_SIZE, SHAPE_IMAGE_SIZE, 3]),
    y: tf.oneHot(
      indices.map((index) => labels[index]),
      SHAPE_LABELS.length,
    ),
  };
}

/** Adam with a rate that falls along half a cosine; batches are turned and mirrored at random. */
async function train(name, { epochs, rate, variables, logits }) {
  const optimizer = tf.train.adam(rate);
  const steps = Math.floor(TRAINING.count / BATCH);
  const random = generator(epochs);
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = shuffled(range(TRAINING.count), random);
    let sum = 0;
    for (let step = 0; step < steps; step++) {
      optimizer.learningRate =
        (rate / 2) * (1 + Math.cos((Math.PI * (epoch * steps + step)) / (epochs * steps)));
      const indices = order.slice(step * BATCH, (step + 1) * BATCH);
      const turn = Math.floor(random() * 8);
      sum += tf.tidy(() => {
        const { x, y } = batch(training, indices);
        const seen = turned(x, turn);
        const { value, grads } = tf.variableGrads(
          () => tf.losses.softmaxCrossEntropy(y, logits(seen, epoch)),
          variables,
        );
        optimizer.applyGradients(grads);
        return value.dataSync()[0];
      });
    }
    say(`${name}: epoch ${epoch + 1} of ${epochs}, loss ${(sum / steps).toFixed(4)}, ${clock()}`);
  }
  optimizer.dispose();
}

/** One of the eight ways to lay a square on itself; no class changes by it. */
function turned(x, turn) {
  let y = x;
  if (turn & 1) y = y.reverse(1);
  if (turn & 2) y = y.reverse(2);
  if (turn & 4) y = y.transpose([0, 2, 1, 3]);
  return y;
}

function accuracy(scores) {
  let right = 0;
  for (let start = 0; start < HELD_OUT.count; start += 500) {
    const indices = range(500).map((i) => start + i);
    const classes = tf.tidy(() => scores(batch(heldOut, indices).x).argMax(-1).dataSync());
    indices.forEach((index, i) => {
      if (classes[i] === heldOut.labels[index]) right++;
    });
  }
  return right / HELD_OUT.count;
}

/** Training's arithmetic is that of src/quant, element for element, or nothing is saved. */
function verify() {
  let checked = 0;
  tf.tidy(() => {
    const visit = (name, before, after) => {
      const quantizer = quantizers.get(name);
      const scale = quantizer.scale();
      const weight = model.weights.find(({ originalName }) => originalName === name);
      const axis = weight === undefined ? null : weightAxis(weight);
      const spec = {
        bits: quantizer.bits,
        signed: quantizer.signed,
        symmetric: true,
        narrowRange: false,
        axis,
      };
      const params = { scale, zeroPoint: new Int32Array(scale.length) };
      const expected = fakeQuantize(before.dataSync(), before.shape, { spec, params });
      const got = after.dataSync();
      let levels = new Set();
      expected.forEach((value, i) => {
        if (value !== got[i]) throw new Error(`${name}[${i}]: tfjs gives ${got[i]}, src/quant ${value}`);
        if (levels.size < 300) levels.add(value);
      });
      checked += expected.length;
      say(
        `  ${name}: ${quantizer.bits} bits, ${axis === null ? `${levels.size} levels in use, scale ${scale[0]}` : `${scale.length} scales`}`,
      );
    };
    forward(tf, model, batch(heldOut, range(100)).x, { quantizers, visit });
  });
  say(`${checked} fake-quantized elements equal src/quant's`);
}

/** model.json and weights.bin in the form that tf.loadLayersModel reads. */
async function save() {
  const entries = [["input", { bits: 8, signed: false, scale: [INPUT_SCALE] }]];
  for (const [name, quantizer] of quantizers) {
    entries.push([name, { bits: quantizer.bits, signed: quantizer.signed, scale: [...quantizer.scale()] }]);
  }
  model.setUserDefinedMetadata({
    qdg: {
      version: 1,
      quantizers: Object.fromEntries(entries),
      preprocessing: { range: [0, 1], mean: [0, 0, 0], std: [1, 1, 1], resize: "stretch" },
      labels: SHAPE_LABELS,
    },
    accuracy: {
      heldOut: HELD_OUT,
      float: floatAccuracy,
      quantized: quantizedAccuracy,
      latent: latentAccuracy,
    },
  });
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      const { modelTopology, userDefinedMetadata, weightSpecs, weightData } = artifacts;
      const bytes = Buffer.concat([weightData].flat().map((part) => Buffer.from(part)));
      const file = {
        format: "layers-model",
        generatedBy: `TensorFlow.js tfjs-layers v${tf.version_layers ?? tf.version["tfjs-layers"]}`,
        convertedBy: null,
        modelTopology,
        userDefinedMetadata,
        weightsManifest: [{ paths: ["weights.bin"], weights: weightSpecs }],
      };
      writeFileSync(join(FOLDER, "weights.bin"), bytes);
      writeFileSync(join(FOLDER, "model.json"), `${JSON.stringify(file, null, 1)}\n`);
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" } };
    }),
  );
}

function range(count) {
  return Array.from({ length: count }, (_, i) => i);
}

/** Fisher and Yates. */
function shuffled(items, random) {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [items[i], items[j]] = [items[j], items[i]];
  }
  return items;
}

/** xorshift32, from a seed that is not 0. */
function generator(seed) {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

function clock() {
  return `${((performance.now() - started) / 1000).toFixed(0)} s`;
}

function percent(fraction) {
  return `${(100 * fraction).toFixed(2)} %`;
}

function say(text) {
  process.stderr.write(`${text}\n`);
}
