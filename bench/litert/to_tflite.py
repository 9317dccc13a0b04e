"""A float32 .tflite of a tfjs layers-model, from the same weights, for images of a fixed size and a batch of 1.

    python to_tflite.py model.json model.tflite

Layers become TensorFlow's operations one by one, without Keras, whose versions read other topologies; the converter folds
batch norm and fuses rectifiers, as it does in models from Keras.
"""

import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy
import tensorflow as tf


def read_weights(path, manifest):
    """By name, from the shards beside model.json."""
    weights = {}
    for group in manifest:
        data = b""
        for shard in group["paths"]:
            with open(os.path.join(os.path.dirname(path), shard), "rb") as file:
                data += file.read()
        at = 0
        for spec in group["weights"]:
            assert spec["dtype"] == "float32", spec
            count = int(numpy.prod(spec["shape"]))
            weights[spec["name"]] = numpy.frombuffer(data, "<f4", count, at).reshape(spec["shape"])
            at += 4 * count
        assert at == len(data), "the shards hold more than the manifest says"
    return weights


def convolution_options(config):
    assert config["data_format"] == "channels_last" and not config["use_bias"], config
    assert config["activation"] == "linear" and config["dilation_rate"] == [1, 1], config
    return {"padding": config["padding"].upper()}


def apply_layer(layer, inputs, weights):
    kind, config, name = layer["class_name"], layer["config"], layer["name"]

    def weight(of):
        return tf.constant(weights[f"{name}/{of}"])

    if kind == "Conv2D":
        return tf.nn.conv2d(inputs[0], weight("kernel"), config["strides"], **convolution_options(config))
    if kind == "DepthwiseConv2D":
        strides = [1, *config["strides"], 1]
        kernel = weight("depthwise_kernel")
        return tf.nn.depthwise_conv2d(inputs[0], kernel, strides, **convolution_options(config))
    if kind == "BatchNormalization":
        statistics = [weight(of) for of in ("moving_mean", "moving_variance", "beta", "gamma")]
        return tf.nn.batch_normalization(inputs[0], *statistics, config["epsilon"])
    if kind == "Activation" and config["activation"] == "relu":
        return tf.nn.relu(inputs[0])
    if kind == "Add":
        return tf.add_n(inputs) if len(inputs) > 2 else inputs[0] + inputs[1]
    if kind == "GlobalAveragePooling2D":
        return tf.reduce_mean(inputs[0], [1, 2])
    if kind == "Dense" and config["activation"] == "linear":
        return tf.matmul(inputs[0], weight("kernel")) + weight("bias")
    raise SystemExit(f"{name} ({kind}): not a layer that this script knows")


def main(path, output):
    with open(path) as file:
        model = json.load(file)
    network = model["modelTopology"]["config"]
    weights = read_weights(path, model["weightsManifest"])

    def run(image):
        values = {}
        for layer in network["layers"]:
            inputs = [values[each[0]] for node in layer["inbound_nodes"] for each in node]
            is_input = layer["class_name"] == "InputLayer"
            values[layer["name"]] = image if is_input else apply_layer(layer, inputs, weights)
        return values[network["output_layers"][0][0]]

    shape = network["layers"][0]["config"]["batch_input_shape"]
    spec = tf.TensorSpec([1, *shape[1:]], tf.float32)
    function = tf.function(run, input_signature=[spec]).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    with open(output, "wb") as file:
        file.write(converter.convert())


main(*sys.argv[1:])
