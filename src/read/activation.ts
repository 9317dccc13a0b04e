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
    const found = ACTIVATIONS.find((activation) => activation === name || (name === "gelu_new" && activation === "geluNew"));
    if (found && (inner === undefined || inner === null || (isMap(inner) && inner.size === 0))) return found;
    config.wrong(key, `one of ${ACTIVATIONS.join(", ")} without a config`);
  }
  return config.choice(key, ACTIVATIONS, "linear");
}

const SIMPLE: Partial<Record<Activation, readonly [op: string, attributes: Readonly<Record<string, Attribute>>]>> = {
  relu: ["Relu", {}],
  elu: ["Elu", { alpha: { float: 1 } }],
  selu: ["Selu", {}],
  sigmoid: ["Sigmoid", {}],
  hardSigmoid: ["HardSigmoid", { alpha: { float: 0.2 }, beta: { float: 0.5 } }],
  tanh: ["Tanh", {}],
  softplus: ["Softplus", {}],
  softsign: ["Softsign", {}],
  mish: ["Mish", {}],
  gelu: ["Gelu", { approximate: "none" }],
  geluNew: ["Gelu", { approximate: "tanh" }],
};

/**
 * `y = activation(x)`, elementwise but for the two softmaxes, which run along `lastAxis`: where tfjs's last
 * axis stands in x. Linear gives x itself.
 *
 * @param what names the result within the layer, "" for its output
 */
export function activate(call: LayerCall, x: Value, activation: Activation, lastAxis: number, what = ""): Value {
  const simple = SIMPLE[activation];
  if (simple) return call.node(simple[0], [x], what, x.shape, simple[1]);
  switch (activation) {
    case "softmax":
      return call.node("Softmax", [x], what, x.shape, { axis: lastAxis });
    case "logSoftmax":
      return call.node("LogSoftmax", [x], what, x.shape, { axis: lastAxis });
    case "relu6":
      return call.node("Clip", [x, call.scalar("min", 0), call.scalar("max", 6)], what, x.shape);
    case "swish":
      return call.node("Swish", [x], what, x.shape, {}, { domain: "qdg" });
    default:
      return x;
  }
}
