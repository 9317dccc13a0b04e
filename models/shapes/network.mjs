// The network of models/shapes as a tfjs layers-model, and its forward pass with quantizers in place, for
// training. Which value has a quantizer is a table here; the arithmetic is judged by src/quant in train.mjs.

/** Values with a quantizer, by the layer that makes them; relu: unsigned from 0, signed: both sides. */
export const ACTIVATION_QUANTIZERS = [
  { layers: ["relu1"], bits: 3, signed: false },
  { layers: ["relu2"], bits: 3, signed: false },
  { layers: ["relu3a"], bits: 3, signed: false },
  // The operands of an Add stand on one scale.
  { layers: ["bn3b", "bn3s"], bits: 3, signed: true },
  { layers: ["relu3"], bits: 3, signed: false },
  { layers: ["relu4a"], bits: 3, signed: false },
  { layers: ["relu4b"], bits: 3, signed: false },
  { layers: ["relu5"], bits: 3, signed: false },
  // What the last layer reads.
  { layers: ["gap"], bits: 8, signed: false },
];

/** 8 bits over the range 0..1: a pixel is its own integer. */
export const INPUT_SCALE = Math.fround(1 / 255);

/** Bits of the weights: 8 in the first layer and the last, 3 between. */
export function weightBits(layer) {
  return layer === "conv1" || layer === "classes" ? 8 : 3;
}

/** [N, H, W, 3] in 0..1 to [N, classes] probabilities. */
export function buildNetwork(tf, size, classes) {
  let seed = 1;
  const init = () => tf.initializers.heNormal({ seed: seed++ });
  const normalized = (name, x) =>
    tf.layers.batchNormalization({ name: `bn${name}`, momentum: 0.95, epsilon: 1e-3 }).apply(x);
  const relu = (name, x) => tf.layers.reLU({ name: `relu${name}` }).apply(x);
  const conv = (name, x, filters, kernelSize, strides) =>
    tf.layers
      .conv2d({
        name: `conv${name}`,
        filters,
        kernelSize,
        strides,
        padding: "same",
        useBias: false,
        kernelInitializer: init(),
      })
      .apply(x);
  const block = (name, x, filters, kernelSize, strides) =>
    relu(name, normalized(name, conv(name, x, filters, kernelSize, strides)));

  const input = tf.input({ name: "input", shape: [size, size, 3] });
  let x = block("1", input, 16, 3, 2);
  x = block("2", x, 24, 3, 1);
  const branch = block("3a", x, 32, 3, 2);
  const sum = tf.layers
    .add({ name: "add3" })
    .apply([normalized("3b", conv("3b", branch, 32, 3, 1)), normalized("3s", conv("3s", x, 32, 1, 2))]);
  x = relu("3", sum);
  const depthwise = tf.layers.depthwiseConv2d({
    name: "depthwise4",
    kernelSize: 3,
    padding: "same",
    useBias: false,
    depthwiseInitializer: init(),
  });
  x = relu("4a", normalized("4a", depthwise.apply(x)));
  x = block("4b", x, 64, 1, 1);
  x = block("5", x, 64, 3, 2);
  x = tf.layers.globalAveragePooling2d({ name: "gap" }).apply(x);
  const probabilities = tf.layers
    .dense({ name: "classes", units: classes, activation: "softmax", kernelInitializer: init() })
    .apply(x);
  return tf.model({ name: "shapes", inputs: input, outputs: probabilities });
}

/**
 * A quantizer with learned scales: `fakeQuantize` of src/quant with LSQ's gradients (Esser et al. 2020,
 * eq. 3): inside the range 1 for v and `q - v/s` for s, outside it 0 and the bound. The logarithm of s is
 * what is learned: s stays above 0 and Adam's steps are relative, so LSQ's step-size factor has no part.
 *
 * @param shape of the scales, one that broadcasts against v
 */
export class Quantizer {
  constructor(tf, name, { bits, signed, shape }) {
    this.tf = tf;
    this.name = name;
    this.bits = bits;
    this.signed = signed;
    this.low = signed ? -(2 ** (bits - 1)) : 0;
    this.high = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
    this.logScale = tf.variable(tf.zeros(shape), true, `${name}/log-scale`);
    this.initialized = false;
  }

  /** LSQ's start: `s = 2 mean|v| / sqrt(high)`, the mean over what shares the scale. */
  initialize(v) {
    const { tf } = this;
    tf.tidy(() => {
      const axes = v.shape.map((_, axis) => axis).filter((axis) => (this.logScale.shape[axis] ?? 1) === 1);
      const mean = this.logScale.rank === 0 ? v.abs().mean() : v.abs().mean(axes, true);
      this.logScale.assign(
        mean
          .mul(2 / Math.sqrt(this.high))
          .maximum(1e-6)
          .log(),
      );
    });
    this.initialized = true;
  }

  /** The scales, float32, exactly as `apply` uses them. */
  scale() {
    return this.tf.tidy(() => this.logScale.exp().dataSync());
  }

  apply(v) {
    const { tf, low, high } = this;
    if (!this.initialized) this.initialize(v);
    const fake = tf.customGrad((value, scale, save) => {
      save([value, scale]);
      return {
        value: value.div(scale).round().clipByValue(low, high).mul(scale),
        gradFunc: (dy, [x, s]) => {
          const ratio = x.div(s);
          const inside = ratio.greater(low).logicalAnd(ratio.less(high)).cast("float32");
          const slope = ratio.round().clipByValue(low, high).sub(ratio.mul(inside));
          const axes = s.shape.map((_, axis) => axis).filter((axis) => s.shape[axis] === 1);
          const ds = s.rank === 0 ? dy.mul(slope).sum() : dy.mul(slope).sum(axes, true);
          return [dy.mul(inside), ds];
        },
      };
    });
    return fake(v, this.logScale.exp());
  }
}

/** Every quantizer of the network, by the name of the value or weight that it stands on. */
export function buildQuantizers(tf, model) {
  const quantizers = new Map();
  for (const { layers, bits, signed } of ACTIVATION_QUANTIZERS) {
    const shared = new Quantizer(tf, layers.join("+"), { bits, signed, shape: [] });
    for (const layer of layers) quantizers.set(layer, shared);
  }
  for (const layer of model.layers) {
    for (const weight of layer.weights) {
      if (!weight.originalName.endsWith("kernel")) continue;
      const axis = weightAxis(weight);
      const shape = weight.shape.map((size, i) => (i === axis ? size : 1));
      const options = { bits: weightBits(layer.name), signed: true, shape };
      quantizers.set(weight.originalName, new Quantizer(tf, weight.originalName, options));
    }
  }
  return quantizers;
}

/** The axis with a scale an index: the output channels; of a depthwise kernel [R, S, C, 1] the channels. */
export function weightAxis(weight) {
  return weight.originalName.endsWith("depthwise_kernel") ? 2 : weight.shape.length - 1;
}

/**
 * The logits [N, classes] of x [N, H, W, 3].
 *
 * @param options.quantizers by name; none: the float network
 * @param options.training batch statistics instead of the moving ones, which are then moved along; without it the
 * sums are the deployed network's, rounding of the bias included
 * @param options.visit called with (name, value before, value after) of each quantizer
 */
export function forward(tf, model, x, { quantizers = new Map(), training = false, visit = () => undefined }) {
  const values = new Map();
  const quantized = (name, value) => {
    const after = quantizers.get(name)?.apply(value) ?? value;
    if (quantizers.has(name)) visit(name, value, after);
    return after;
  };
  let last = x;
  for (const layer of model.layers) {
    const sources = layer.inboundNodes[0].inboundLayers.map((inbound) => values.get(inbound.name));
    const weights = Object.fromEntries(
      layer.weights.map((weight) => [
        weight.originalName.split("/")[1],
        quantized(weight.originalName, weight.read()),
      ]),
    );
    const unit = training ? null : biasUnit(tf, layer, quantizers);
    last = quantized(layer.name, compute(tf, layer, sources, weights, { input: x, training, unit }));
    values.set(layer.name, last);
  }
  return last;
}

/**
 * `s_x * s_w` [K]: what one integer of the sum is worth that enters a batch norm; null in float. The deployed bias
 * is an integer of this unit, and at 3 bits the unit is coarse enough to be trained with.
 */
function biasUnit(tf, layer, quantizers) {
  if (layer.getClassName() !== "BatchNormalization" || quantizers.size === 0) return null;
  const [convolution] = layer.inboundNodes[0].inboundLayers;
  const [source] = convolution.inboundNodes[0].inboundLayers;
  const kernel = quantizers.get(convolution.weights[0].originalName);
  const scaleX = quantizers.get(source.name)?.logScale.exp() ?? tf.scalar(INPUT_SCALE);
  return kernel.logScale.exp().flatten().mul(scaleX);
}

function compute(tf, layer, [first, second], weights, { input, training, unit }) {
  switch (layer.getClassName()) {
    case "InputLayer":
      return input;
    case "Conv2D":
      return tf.conv2d(first, weights.kernel, layer.strides, "same");
    case "DepthwiseConv2D":
      return tf.depthwiseConv2d(first, weights.depthwise_kernel, layer.strides, "same");
    case "BatchNormalization":
      return training
        ? normalizeBatch(tf, layer, first, weights)
        : normalize(tf, layer, first, weights, unit);
    case "ReLU":
      return first.relu();
    case "Add":
      return first.add(second);
    case "GlobalAveragePooling2D":
      return first.mean([1, 2]);
    case "Dense":
      return first.matMul(weights.kernel).add(weights.bias);
    default:
      throw new Error(`${layer.name}: ${layer.getClassName()} is not in this network`);
  }
}

/** By the moving statistics, with the bias that the integers allow: `gamma/sigma * (x - unit * round(offset / unit))`. */
function normalize(tf, layer, x, weights, unit) {
  const { gamma, beta, moving_mean: mean, moving_variance: variance } = weights;
  const factor = gamma.div(variance.add(layer.epsilon).sqrt());
  const bias = beta.div(factor).sub(mean);
  return x.add(unit === null ? bias : roundStraight(tf, bias.div(unit)).mul(unit)).mul(factor);
}

/** round(x), half to even, with the gradient of x. */
function roundStraight(tf, x) {
  return tf.customGrad((value) => ({ value: value.round(), gradFunc: (dy) => dy }))(x);
}

/** By the statistics of the batch, and the moving ones are moved along. */
function normalizeBatch(
  tf,
  layer,
  x,
  { gamma, beta, moving_mean: movingMean, moving_variance: movingVariance },
) {
  const { mean, variance } = tf.moments(x, [0, 1, 2]);
  for (const [moving, now] of [
    [movingMean, mean],
    [movingVariance, variance],
  ]) {
    moving.assign(tf.tidy(() => moving.mul(layer.momentum).add(now.mul(1 - layer.momentum))));
  }
  return tf.batchNorm(x, mean, variance, beta, gamma, layer.epsilon);
}
