"""Layers-models as Keras 3 and tensorflowjs write them, with the outputs that Keras computes: the judge of
src/read/classic. Writes one JSON file a model to the folder that is given (test/read/keras3 of the project).

    python -m venv venv && venv/bin/pip install keras tensorflow-cpu
    venv/bin/pip install --no-deps tensorflowjs tf_keras tensorflow_hub six packaging importlib_resources
    venv/bin/python bench/keras/golden.py test/read/keras3

Weights are random and fixed by a seed. No user of qdg needs this, and no test runs it.
"""

import base64
import contextlib
import glob
import io
import json
import os
import sys
import tempfile
import types

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow  # noqa: F401  before what stands in for other packages below
from keras import layers as L
from keras import ops

# tensorflowjs imports these at its start, for formats that are not used here.
for name in ["tensorflow_decision_forests", "flax", "jax", "jax.numpy", "jax.experimental", "jax.experimental.jax2tf"]:
    if name not in sys.modules:
        module = types.ModuleType(name)
        module.__path__ = []
        sys.modules[name] = module

import tensorflowjs
from tensorflowjs.converters import converter

MODELS = {}


def model(writers=("h5",)):
    def add(make):
        MODELS[make.__name__] = (make, writers)
        return make

    return add


BOTH = ("h5", "keras")


@model(BOTH)
def sequential():
    return keras.Sequential([
        keras.Input((6, 6, 3)),
        L.Conv2D(4, 3, activation="relu"),
        L.DepthwiseConv2D(2, padding="same", activation="gelu"),
        L.SeparableConv2D(3, 2),
        L.BatchNormalization(),
        L.Flatten(),
        L.Dense(2, activation="softmax"),
    ])


@model()
def functional():
    x = keras.Input((8, 8, 3), name="image")
    y = L.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="conv")(x)
    y = L.BatchNormalization(name="norm")(y)
    y = L.ReLU(max_value=6.0, name="relu")(y)
    z = L.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="dw")(y)
    z = L.Conv2D(4, 1, name="point", kernel_constraint=keras.constraints.MaxNorm(9.0))(z)
    y = L.Add(name="sum")([y, z])
    y = L.GlobalAveragePooling2D(name="pool")(y)
    y = L.Dropout(0.3, name="drop")(y)
    return keras.Model(x, L.Dense(3, activation="softmax", kernel_regularizer="l2", name="head")(y))


@model(BOTH)
def nested():
    i = keras.Input((4,))
    inner = keras.Model(i, L.Dense(4, activation="tanh", name="first")(i), name="inner")
    row = keras.Sequential([L.Dense(4, name="second"), L.BatchNormalization()], name="row")
    x = keras.Input((4,))
    y = inner(row(inner(x)))
    return keras.Model(x, L.Dense(2, name="third")(y), name="outer")


@model(("keras",))
def same_names():
    """A name again in each container; a .keras file tells them apart by place."""
    i = keras.Input((4,))
    inner = keras.Model(i, L.Dense(4, activation="tanh", name="d")(i), name="inner")
    row = keras.Sequential([L.Dense(4, name="d", activation="sigmoid")], name="row")
    x = keras.Input((4,))
    return keras.Model(x, L.Dense(4, name="d")(row(inner(x))), name="outer")


@model()
def same_name_within_row():
    row = keras.Sequential([L.Dense(4, name="d", activation="sigmoid")], name="row")
    x = keras.Input((4,))
    return keras.Model(x, L.Dense(4, name="d")(row(x)), name="outer")


@model(("keras",))
def names_of_other_places():
    """In a .keras file dense_1 is the second Dense, here a layer of another name; shapes fit either way."""
    x = keras.Input((4,))
    y = L.Dense(4, activation="tanh", name="dense_1")(x)
    return keras.Model(x, L.Dense(4, name="dense")(y))


@model()
def outputs_of_nested():
    i = keras.Input((4,))
    inner = keras.Model(i, L.Dense(4, name="a")(i), name="inner")
    row = keras.Sequential([L.Dense(4, name="b")], name="row")
    x = keras.Input((4,))
    y, z = inner(x), row(x)
    return keras.Model(x, [inner(y), row(z), y, z])


@model()
def row_of_models():
    i = keras.Input((4,))
    inner = keras.Model(i, L.Dense(4, activation="tanh", name="a")(i), name="inner")
    row = keras.Sequential([L.Dense(3, name="b")], name="row")
    return keras.Sequential([keras.Input((4,)), inner, row, L.Dense(2, name="c")])


@model(BOTH)
def several():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    y = L.Concatenate()([a, b])
    y = L.Dense(4, name="p")(y)
    return keras.Model([a, b], [y, L.Dense(2, name="q")(y)])


@model()
def named_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    y = L.Dense(4, name="p")(L.Concatenate()([a, b]))
    return keras.Model({"a": a, "b": b}, {"y": y, "z": L.Dense(2, name="q")(y)})


@model()
def nested_of_several():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    y = L.Dense(4, name="p")(L.Concatenate()([a, b]))
    inner = keras.Model([a, b], [y, L.Dense(2, name="q")(y)], name="inner")
    c, d = keras.Input((4,), name="c"), keras.Input((3,), name="d")
    y, z = inner([c, d])
    return keras.Model([c, d], L.Add()([y, L.Dense(4, name="r")(z)]))


@model()
def shared_out_of_order():
    """The call that Keras counts first is the one that can be made last."""
    x = keras.Input((4,))
    shared = L.Dense(4, activation="tanh", name="shared")
    late = L.Dense(4, name="late")(x)
    first = shared(late)
    second = shared(x)
    third = shared(second)
    y = L.Concatenate()([third, first, second])
    return keras.Model(x, [L.Dense(3, name="head")(y), first])


@model(BOTH)
def operators():
    x = keras.Input((4, 4, 3), name="x")
    y = x * 2.0
    y = 0.5 + y + x
    y = 1.0 - y / 3.0
    y = L.Conv2D(3, 1, name="conv")(-y)
    y = ops.maximum(y, x) - ops.minimum(x * x, y)
    y = y * np.array([1.0, -2.0, 3.0], dtype="float32") - 0.25
    y = ops.relu(y) + ops.silu(y) + ops.sigmoid(y) + ops.tanh(x) + ops.leaky_relu(y, 0.1) + ops.relu6(y)
    y = ops.square(y) + x**2
    pooled = ops.mean(y, axis=[1, 2], keepdims=True) + ops.max(x, axis=(1, 2), keepdims=True)
    y = ops.transpose(y * pooled, (0, 2, 1, 3))
    y = ops.reshape(y, (-1, 48))
    y = L.Dense(4, name="dense")(y)
    y = ops.concatenate([ops.softmax(y), ops.log_softmax(y), ops.gelu(y), ops.gelu(y, approximate=False)], axis=-1)
    return keras.Model(x, ops.maximum(y, 0.0) + y)


@model()
def hard_activations():
    x = keras.Input((4,), name="x")
    y = L.Dense(4, activation="hard_sigmoid", name="a")(x)
    z = L.Dense(4, activation="hard_silu", name="b")(x)
    w = L.Activation("hard_swish", name="c")(L.Activation("hard_sigmoid", name="d")(x))
    u = L.Dense(4, activation="leaky_relu", name="e")(x) + ops.hard_sigmoid(x) + ops.hard_silu(x)
    return keras.Model(x, L.Dense(3, name="f")(L.Concatenate()([y, z, w, u])))


@model()
def hard_row():
    return keras.Sequential([keras.Input((4,)), L.Dense(4, activation="hard_sigmoid", name="a"), L.Dense(3, name="b")])


@model()
def activations():
    x = keras.Input((5,), name="x")
    names = ["linear", "relu", "relu6", "elu", "selu", "sigmoid", "tanh", "softplus", "softsign", "softmax",
             "log_softmax", "silu", "swish", "mish", "gelu", "leaky_relu"]
    ys = [L.Activation(name, name=f"act_{i}")(x) for i, name in enumerate(names)]
    ys += [L.LeakyReLU(0.2)(x), L.LeakyReLU()(x),
           L.ELU()(x), L.Softmax()(x), L.PReLU(alpha_initializer="glorot_uniform")(L.Reshape((5, 1))(x))]
    return keras.Model(x, L.Concatenate()([L.Flatten()(y) for y in ys]))


@model()
def images():
    x = keras.Input((9, 8, 3), name="x")
    y = L.ZeroPadding2D(((1, 0), (2, 1)))(x)
    y = L.Conv2D(4, 3, dilation_rate=2, padding="same")(y)
    y = L.MaxPooling2D(2)(y)
    y = L.Conv2DTranspose(3, 3, strides=2, padding="same")(y)
    y = L.Cropping2D(((1, 0), (0, 1)))(y)
    y = L.UpSampling2D(2)(y)
    y = L.AveragePooling2D(3, strides=2, padding="same")(y)
    y = L.SpatialDropout2D(0.2)(y)
    y = L.LayerNormalization(axis=[-1, 1])(y)
    y = L.Permute((2, 1, 3))(y)
    z = L.GlobalMaxPooling2D(keepdims=True)(y)
    z = L.Conv2D(3, 1, activation="sigmoid")(z)
    y = L.Multiply()([y, z])
    return keras.Model(x, L.Dense(2)(L.Concatenate()([L.GlobalAveragePooling2D()(y), L.GlobalMaxPooling2D()(y)])))


@model()
def unlike_tfjs_categories():
    x = keras.Input((6,), dtype="int32", name="x")
    return keras.Model(x, L.Dense(2)(L.CategoryEncoding(10, output_mode="multi_hot")(x)))


@model()
def unlike_tfjs():
    """What tfjs 4.22 itself computes otherwise."""
    x = keras.Input((4, 5, 3), name="x")
    y = L.ReLU(max_value=1.0, negative_slope=0.25, threshold=0.5)(L.BatchNormalization(axis=1)(x))
    return keras.Model(x, L.Dense(2)(L.Flatten()(y)))


@model(BOTH)
def sequences():
    x = keras.Input((8, 3), name="x")
    y = L.Conv1D(4, 3, padding="same", activation="relu")(x)
    y = L.SpatialDropout1D(0.2)(L.GaussianNoise(0.1)(y))
    y = L.TimeDistributed(L.Dense(4))(y)
    y = L.LayerNormalization()(y)
    y = L.AveragePooling1D(2)(L.MaxPooling1D(2)(y))
    z = L.RepeatVector(2)(L.GlobalAveragePooling1D()(y))
    w = L.Dot(axes=2)([y, z])
    y = L.Subtract()([L.Average()([y, z]), L.Maximum()([y, L.Minimum()([y, z])])])
    y = L.Flatten()(y)
    return keras.Model(x, L.Dense(3)(L.AlphaDropout(0.1)(L.Concatenate()([y, L.Flatten()(w)]))))


@model()
def volumes():
    x = keras.Input((4, 4, 4, 2), name="x")
    y = L.Conv3D(3, 2, padding="same")(x)
    y = L.MaxPooling3D(2)(y)
    y = L.SpatialDropout3D(0.2)(y)
    y = L.Conv3DTranspose(2, 2, strides=2)(y)
    y = L.AveragePooling3D(2)(y)
    return keras.Model(x, L.Dense(2)(L.Flatten()(y)))


@model(BOTH)
def tokens():
    x = keras.Input((6,), dtype="int32", name="x")
    y = L.Embedding(10, 4)(x)
    y = L.GlobalAveragePooling1D()(L.Conv1D(3, 2)(y))
    return keras.Model(x, L.Dense(2)(y))


@model()
def augmented_row():
    return keras.Sequential([
        keras.Input((6, 6, 3)), L.RandomFlip("horizontal"), L.RandomRotation(0.1), L.RandomZoom(0.1),
        L.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 0.25, 2.0]), L.Flatten(), L.Dense(2),
    ])


@model(("keras",))
def augmented():
    norm = L.Normalization()
    norm.adapt(np.random.default_rng(0).normal([1, 2, 3], [1, 2, 0.5], (50, 6, 6, 3)))
    m = keras.Sequential([
        keras.Input((6, 6, 3), dtype="uint8"),
        L.RandomFlip(), L.RandomRotation(0.1), L.RandomZoom(0.1), L.RandomTranslation(0.1, 0.1),
        L.RandomContrast(0.2), L.RandomBrightness(0.2),
        L.Rescaling(1 / 255), norm,
        L.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 0.25, 2.0]),
        L.Rescaling([0.5, 0.25, 2.0], [0.1, 0.0, -0.1]),
        L.Conv2D(2, 3), L.BatchNormalization(scale=False), L.Dropout(0.2), L.GlobalAveragePooling2D(), L.Dense(2),
    ])
    m.compile(optimizer="adam", loss="mse")
    m.fit(np.random.default_rng(1).integers(0, 255, (4, 6, 6, 3)), np.zeros((4, 2)), verbose=0)
    return m


@model(("keras",))
def augmentations():
    """Whatever acts in training only. Some of it Keras itself cannot write as .h5."""
    x = keras.Input((6, 6, 3), name="x")
    y = x
    for name in ["RandomShear", "RandomHue", "RandomSaturation", "RandomColorDegeneration", "RandomGrayscale",
                 "RandomPosterization", "RandomSharpness", "RandomPerspective", "RandomErasing", "RandomInvert",
                 "RandomGaussianBlur", "RandomColorJitter", "Identity", "ActivityRegularization"]:
        layer = getattr(L, name, None)
        if layer is None:
            continue
        arguments = {
            "RandomHue": {"factor": 0.1}, "RandomSaturation": {"factor": 0.1}, "RandomPosterization": {"factor": 4},
            "RandomColorDegeneration": {"factor": 0.1}, "RandomSharpness": {"factor": 0.1},
            "RandomShear": {"x_factor": 0.1}, "RandomErasing": {"factor": 0.5},
        }.get(name, {})
        y = layer(**arguments)(y)
    return keras.Model(x, L.Dense(2)(L.GlobalAveragePooling2D()(y)))


@model()
def inverted_normalization():
    return keras.Sequential([
        keras.Input((3,)),
        L.Normalization(mean=2000.0, variance=4.0, axis=None),
        L.Normalization(mean=[0.5, 1.5, -1.0], variance=[1.0, 0.0, 4.0], invert=True),
        L.Dense(2),
    ])


@model()
def mixed_precision():
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        return keras.Sequential([keras.Input((4,)), L.Dense(8, activation="relu"), L.Dense(2, dtype="float32")])
    finally:
        keras.mixed_precision.set_dtype_policy("float32")


@model()
def gated():
    """A squeeze and excitation block as keras.applications has it."""
    x = keras.Input((6, 6, 4), name="x")
    y = L.GlobalAveragePooling2D(keepdims=True)(x)
    y = L.Conv2D(2, 1, activation="relu")(y)
    y = L.Conv2D(4, 1)(y)
    y = L.ReLU(6.0)(y + 3.0) * (1.0 / 6.0)
    y = L.Multiply()([x, y])
    return keras.Model(x, L.Flatten()(L.GlobalAveragePooling2D()(y)))


def randomize(m, rng):
    for variable in m.weights:
        name, shape = variable.path, variable.shape
        if not str(variable.dtype).startswith("float") or "/normalization" in "/" + name:
            continue
        value = rng.uniform(0.3, 2.0, shape) if "variance" in name else rng.uniform(-1, 1, shape)
        variable.assign(value.astype("float32") / (1 if len(shape) < 2 else np.sqrt(np.prod(shape[:-1]))))
    # Layers that keep numbers beside their variables.
    for layer in m.layers:
        if isinstance(layer, L.Normalization):
            layer.finalize_state()


def packed(array):
    array = np.asarray(array)
    array = array.astype("int32" if array.dtype.kind in "iu" else "float32")
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": [float(f"{x:.9g}") for x in array.ravel().tolist()]}


def write(name, make, writer, target):
    keras.utils.clear_session()
    keras.utils.set_random_seed(7)
    rng = np.random.default_rng(abs(hash_of(name)))
    m = make()
    randomize(m, rng)
    inputs = []
    for tensor in m.inputs:
        shape = (3, *tensor.shape[1:])
        if np.dtype(tensor.dtype).kind in "iu":
            inputs.append(rng.integers(0, 10 if tensor.dtype == "int32" else 256, shape).astype(tensor.dtype))
        else:
            inputs.append(rng.normal(0, 1.5, shape).astype("float32"))
    named = isinstance(getattr(m, "_inputs_struct", None), dict)
    feeds = dict(zip([t.name for t in m.inputs], inputs)) if named else inputs
    outputs = m(feeds if named or len(inputs) > 1 else inputs[0], training=False)
    outputs = list(outputs.values()) if isinstance(outputs, dict) else outputs if isinstance(outputs, (list, tuple)) else [outputs]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        out = os.path.join(folder, "out")
        if writer == "h5":
            tensorflowjs.converters.save_keras_model(m, out)
        else:
            path = os.path.join(folder, "model.keras")
            m.save(path)
            converter.dispatch_keras_keras_to_tfjs_layers_model_conversion(path, out)
        with open(os.path.join(out, "model.json")) as file:
            saved = json.load(file)
        shards = b"".join(open(path, "rb").read() for path in sorted(glob.glob(os.path.join(out, "*.bin"))))
    golden = {
        "madeBy": f"bench/keras/golden.py, keras {keras.__version__}, tensorflowjs {tensorflowjs.__version__}",
        "model": saved,
        "weights": base64.b64encode(shards).decode(),
        "inputs": [packed(x) for x in inputs],
        "outputs": [packed(y) for y in outputs],
    }
    with open(os.path.join(target, f"{name}.{writer}.json"), "w") as file:
        json.dump(golden, file, separators=(",", ":"))
        file.write("\n")


def hash_of(text):
    return sum(ord(letter) * 31**i for i, letter in enumerate(text)) % 2**31


if __name__ == "__main__":
    target, *only = sys.argv[1:]
    os.makedirs(target, exist_ok=True)
    for name, (make, writers) in MODELS.items():
        for writer in writers:
            if not only or name in only:
                print(name, writer, file=sys.stderr)
                write(name, make, writer, target)
