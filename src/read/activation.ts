// The activations that tfjs knows by name, as a layer and as the attribute of one, in ONNX operators.

import type { Attribute, Value } from "../graph/graph.js";
import type { LayerConfig } from "./config.js";
import type { LayerCall } from "./layer.js";
import { isMap } from "./model-json.js";

/** In camel case, as tfjs reads them; `geluNew` is written gelu_new. */
export const ACTIVATIONS = [
  "linear",
  "relu",
  "relu6",
  "elu",
  "selu",
  "sigmoid",
  "hardSigmoid",
  "tanh",
  "softplus",
  "softsign",
  "softmax",
  "logSoftmax",
  "swish",
  "mish",
  "gelu",
  "geluNew",
] as const;
export type Activation = (typeof ACTIVATIONS)[number];

/** The activation under `key`, a name or `{class_name, config: {}}`; linear when absent. */
export function readActivation(config: LayerConfig, key = "activation"): Activation {
  const value = config.get(key);
  if (isMap(value)) {
    const name = value.get("class_name") ?? value.get("className");
    const inner = value.get("config");
    const found = ACTIVATIONS.find(
      (activation) => activation === name || (name === "gelu_new" && activation === "geluNew"),
    );
    if (found && (inner === undefined || inner === null || (isMap(inner) && inner.size === 0))) return found;
    config.wrong(key, `one of ${ACTIVATIONS.join(", ")} without a config`);
  }
  return config.choice(key, ACTIVATIONS, "linear");
}

interface Operator {
  readonly op: string;
  readonly domain?: "qdg";
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Bounds of a Clip. */
  readonly bounds?: readonly [min: number, max: number];
  /** Runs along an axis, which is an attribute. */
  readonly alongLastAxis?: true;
}

const OPERATORS: Readonly<Record<Activation, Operator | null>> = {
  linear: null,
  relu: { op: "Relu" },
  relu6: { op: "Clip", bounds: [0, 6] },
  elu: { op: "Elu", attributes: { alpha: { float: 1 } } },
  selu: { op: "Selu" },
  sigmoid: { op: "Sigmoid" },
  hardSigmoid: { op: "HardSigmoid", attributes: { alpha: { float: 0.2 }, beta: { float: 0.5 } } },
  tanh: { op: "Tanh" },
  softplus: { op: "Softplus" },
  softsign: { op: "Softsign" },
  softmax: { op: "Softmax", alongLastAxis: true },
  logSoftmax: { op: "LogSoftmax", alongLastAxis: true },
  swish: { op: "Swish", domain: "qdg" },
  mish: { op: "Mish" },
  gelu: { op: "Gelu", attributes: { approximate: "none" } },
  geluNew: { op: "Gelu", attributes: { approximate: "tanh" } },
};

/**
 * `y = activation(x)`, elementwise but for the two softmaxes, which run along `lastAxis`: where tfjs's last
 * axis stands in x. Linear gives x itself.
 *
 * @param what names the result within the layer, "" for its output
 */
export function activate(
  call: LayerCall,
  x: Value,
  activation: Activation,
  lastAxis: number,
  what = "",
): Value {
  const operator = OPERATORS[activation];
  if (!operator) return x;
  const { op, domain, attributes, bounds, alongLastAxis } = operator;
  const limits = bounds ? [call.scalar("min", bounds[0]), call.scalar("max", bounds[1])] : [];
  return call.node(
    op,
    [x, ...limits],
    what,
    x.shape,
    alongLastAxis ? { axis: lastAxis } : (attributes ?? {}),
    { domain: domain ?? "" },
  );
}
