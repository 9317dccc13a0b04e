// TensorFlow's own operators that tfjs has no kernel for, by name. Training calls them where one does the work of
// many of tfjs's.

import * as tf from "@tensorflow/tfjs";

/** What tfjs-node's backend has that is used here. */
interface NativeBackend {
  readonly binding: Readonly<
    Record<"TF_ATTR_FLOAT" | "TF_ATTR_STRING" | "TF_ATTR_BOOL" | "TF_ATTR_TYPE" | "TF_FLOAT", number>
  >;
  executeMultipleOutputs(
    name: string,
    attributes: readonly { name: string; type: number; value: unknown }[],
    inputs: readonly tf.Tensor[],
    outputs: number,
  ): tf.Tensor[];
}

export function isNative(): boolean {
  return tf.getBackend() === "tensorflow";
}

/** Runs a TensorFlow operator whose tensors are all float32: T (and further `types`) are set for it. */
export function nativeOp(
  name: string,
  inputs: readonly tf.Tensor[],
  outputs: number,
  attributes: Readonly<Record<string, number | string | boolean>> = {},
  types: readonly string[] = ["T"],
): tf.Tensor[] {
  const backend = tf.backend() as unknown as NativeBackend;
  const { binding } = backend;
  const kinds = { number: "TF_ATTR_FLOAT", string: "TF_ATTR_STRING", boolean: "TF_ATTR_BOOL" } as const;
  return backend.executeMultipleOutputs(
    name,
    [
      ...types.map((type) => ({ name: type, type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT })),
      ...Object.entries(attributes).map(([key, value]) => ({
        name: key,
        type: binding[kinds[typeof value as keyof typeof kinds]],
        value,
      })),
    ],
    inputs,
    outputs,
  );
}
