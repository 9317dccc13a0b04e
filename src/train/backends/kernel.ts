// What a kernel of ours is, and how it takes the place of one of tfjs's. Knows no kernel and no backend.

import * as tf from "@tensorflow/tfjs";

/** One call of a kernel. */
export interface KernelCall<Backend> {
  readonly inputs: Readonly<Record<string, tf.Tensor>>;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly backend: Backend;
  /**
   * The kernel of tfjs that this one stands in for, on the same inputs and attributes or on others.
   *
   * @throws Error where tfjs has none
   */
  readonly stock: (
    inputs?: Readonly<Record<string, tf.Tensor>>,
    attrs?: Readonly<Record<string, unknown>>,
  ) => tf.Tensor;
}

/**
 * A kernel by the name that tfjs knows it by. `compute` runs inside a tidy and outside every tape, so it may use
 * tfjs's operations; it returns one tensor, or several for a kernel with several outputs.
 */
export interface Kernel<Backend> {
  readonly name: string;
  compute(call: KernelCall<Backend>): tf.Tensor | tf.Tensor[];
}

/** Puts a kernel in the place of tfjs's for that backend, or beside it where there is none. Once a kernel. */
export function registerKernel<Backend>(kernel: Kernel<Backend>, backendName: string): void {
  const kernelName = kernel.name;
  const before = tf.getKernel(kernelName, backendName);
  if (before) tf.unregisterKernel(kernelName, backendName);
  const kernelFunc: tf.KernelFunc = ({ inputs, attrs, backend }) => {
    const call: KernelCall<Backend> = {
      inputs: inputs as Record<string, tf.Tensor>,
      attrs: attrs ?? {},
      backend: backend as Backend,
      stock(otherInputs, otherAttrs) {
        if (!before) throw new Error(`${kernelName}: tfjs has no such kernel on its backend ${backendName}`);
        const result = before.kernelFunc({
          inputs: otherInputs ?? inputs,
          attrs: (otherAttrs ?? attrs) as tf.NamedAttrMap,
          backend,
        });
        return asTensor(Array.isArray(result) ? (result[0] as tf.TensorInfo) : result);
      },
    };
    return tf.tidy(() => kernel.compute(call));
  };
  tf.registerKernel({ ...before, kernelName, backendName, kernelFunc });
}

/** Some kernels of tfjs give a tensor, some only what one is made of. */
function asTensor(info: tf.TensorInfo): tf.Tensor {
  return info instanceof tf.Tensor ? info : tf.engine().makeTensorFromTensorInfo(info);
}
