"""AIMET's post-training quantization, a peer of the bench's part `lowbits`: weights per channel and symmetric,
activations asymmetric, as its defaults have them; ranges of activations by either of its schemes; with and without
cross-layer equalization; weights as they are, with ranges by sequential MSE, or, at 4 bits, by AdaRound. One file a
recipe, so that the bench can take the best.

    python bench/aimet/quantize.py float.onnx calibration.npy folder [fit ...]

calibration.npy is one array of the input's shape with all samples along its first axis; fits are those of FITS, nearest
where none is named. Writes folder/{recipe}-w{8,4}a{8,4}.onnx but for w8a4, as QuantizeLinear and DequantizeLinear; files that are there
are kept, so that a run which was interrupted goes on. What qdg keeps at 8 bits unless told otherwise is 8 bits here too, or there would
be nothing to compare: weights of the first and of the last layer, what enters the network and its last layer, what is
added, what functions other than ReLU read. Outputs stay real. Nothing is measured here: the files run on the ONNX Runtime
that runs those of qdg.
"""

import itertools
import logging
import sys
from pathlib import Path

import aimet_onnx
import numpy as np
import onnx
from aimet_onnx.common.defs import QuantScheme
from aimet_onnx.cross_layer_equalization import equalize_model
from aimet_onnx.quantsim import set_param_type

# By name: of ranges of activations.
SCHEMES = {"min-max": QuantScheme.min_max, "sqnr": QuantScheme.post_training_tf_enhanced}
TYPES = {8: aimet_onnx.int8, 4: aimet_onnx.int4}
# Of activations, by those of weights.
WIDTHS = {4: (8, 4), 8: (8,)}
# What is done to weights, with the beginning of the recipe's name.
FITS = {"nearest": "", "sequential": "sequential-", "adaround": "adaround-"}
# Of AdaRound, a layer: as its documentation has it for fewer than 8 bits.
STEPS = 15000


def weighted_nodes(graph):
    weights = {tensor.name for tensor in graph.initializer}
    return [node for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul") and node.input[1] in weights]


def activations_of_8_bits(graph):
    """Names of values."""
    made_by = {name: node for node in graph.node for name in node.output}
    names = [graph.input[0].name, weighted_nodes(graph)[-1].input[0]]
    for node in graph.node:
        if node.op_type == "Add":
            names += node.input
        elif node.op_type in ("LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish"):
            names.append(node.input[0])
            source = made_by.get(node.input[0])
            # A pool gives on the integers of what it reads.
            if source is not None and source.op_type == "MaxPool":
                names.append(source.input[0])
    return names


def real_values(graph):
    """Names of what the last weighted layer gives, and of all that follows; of what a Clip reads, which is one with what
    it clips, as a Relu is by AIMET's own defaults."""
    nodes = list(graph.node)
    tail = nodes[nodes.index(weighted_nodes(graph)[-1]) :]
    outputs = [name for node in tail for name in node.output]
    return outputs + [name for node in nodes if node.op_type == "Clip" for name in node.input]


def simulation(model, samples, weight_bits, fit):
    """The model with its weights quantized."""
    outer = {weighted_nodes(model.graph)[i].name for i in (0, -1)}
    real = real_values(model.graph)
    # Neither fit looks at a quantizer of activations.
    sim = aimet_onnx.QuantizationSimModel(model, param_type=TYPES[weight_bits], quant_scheme=QuantScheme.min_max)
    set_param_type(sim, aimet_onnx.int8, nodes_to_include=outer)
    for name in real:
        if name in sim.qc_quantize_op_dict:
            sim.qc_quantize_op_dict[name].enabled = False
    if fit == "sequential":
        aimet_onnx.apply_seq_mse(sim, samples)
    elif fit == "adaround":
        aimet_onnx.apply_adaround(sim, samples, num_iterations=STEPS)
    return sim


def with_activations(sim, samples, scheme, bits, of_8_bits):
    """The model as a file has it."""
    quantizers = [sim.qc_quantize_op_dict[name] for name in [*sim.input_quantizers_name, *sim.activation_names]]
    for quantizer in quantizers:
        if quantizer.enabled:
            quantizer.set_precision(TYPES[bits])
            quantizer.set_quant_scheme(SCHEMES[scheme])
    sim.set_tensor_precision(of_8_bits, aimet_onnx.int8, strict=False)
    sim.compute_encodings(samples)
    return sim.to_onnx_qdq()


def main(float_file, calibration, folder, *fits):
    # Its warnings are of its own internals.
    logging.disable(logging.WARNING)
    name = onnx.load(float_file).graph.input[0].name
    samples = [{name: sample[np.newaxis]} for sample in np.load(calibration)]
    for fit, equalizes, weight_bits in itertools.product(fits or ("nearest",), (False, True), WIDTHS):
        beginning = FITS[fit]
        if fit == "adaround" and weight_bits == 8:
            continue
        prefix = f"{beginning}equalized-" if equalizes else beginning
        files = {
            (scheme, bits): Path(folder) / f"{prefix}{scheme}-w{weight_bits}a{bits}.onnx"
            for scheme in SCHEMES
            for bits in WIDTHS[weight_bits]
        }
        if all(path.exists() for path in files.values()):
            continue
        model = onnx.load(float_file)
        if equalizes:
            equalize_model(model)
        of_8_bits = activations_of_8_bits(model.graph)
        sim = simulation(model, samples, weight_bits, fit)
        for (scheme, bits), path in files.items():
            temporary = path.with_suffix(".part")
            onnx.save(with_activations(sim, samples, scheme, bits, of_8_bits), str(temporary))
            temporary.replace(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
