"""Networks of keras.applications, exported by qdg and run by ONNX Runtime, against what Keras computes: too large to be
stored beside the tests.

    venv/bin/pip install onnxruntime          # into the environment that golden.py describes
    npm run build && venv/bin/python bench/keras/applications.py [names]

Weights are random; statistics of batch normalization too, so that no output is constant.
"""

import contextlib
import io
import os
import subprocess
import sys
import tempfile

import golden  # noqa: F401  sets up tensorflowjs
import keras
import numpy as np
import onnxruntime
import tensorflowjs

NAMES = ["MobileNet", "MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "EfficientNetV2B0", "Xception", "ResNet50V2",
         "DenseNet121", "NASNetMobile"]
QDG = os.path.join(os.path.dirname(__file__), "..", "..", "dist", "cli", "main.js")
# Of the largest output: sums of thousands of float32 products, in another order.
TOLERANCE = 1e-5


def judge(name):
    keras.utils.clear_session()
    keras.utils.set_random_seed(7)
    rng = np.random.default_rng(7)
    side = 72 if name == "Xception" else 64
    model = getattr(keras.applications, name)(input_shape=(side, side, 3), weights=None, classes=10)
    for variable in model.weights:
        if "moving_variance" in variable.path:
            variable.assign(rng.uniform(0.5, 2, variable.shape))
        elif "moving_mean" in variable.path:
            variable.assign(rng.uniform(-0.3, 0.3, variable.shape))
        elif "gamma" in variable.path:
            variable.assign(rng.uniform(0.7, 1.3, variable.shape))
    # MobileNetV3 and EfficientNet rescale pixels themselves.
    brightest = 255 if "V3" in name or "Efficient" in name else 2
    x = rng.uniform(0, brightest, (2, side, side, 3)).astype("float32")
    expected = np.asarray(model(x, training=False))
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.redirect_stdout(io.StringIO()):
            tensorflowjs.converters.save_keras_model(model, folder)
        file = os.path.join(folder, "model.onnx")
        subprocess.run(["node", QDG, "export", folder, "--float", "-o", file], check=True, capture_output=True)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        (got,) = session.run(None, {session.get_inputs()[0].name: x})
    difference = float(np.abs(got - expected).max() / np.abs(expected).max())
    print(f"{name:20} {difference:.1e} of the largest output", flush=True)
    return difference <= TOLERANCE


if __name__ == "__main__":
    sys.exit(0 if all([judge(name) for name in sys.argv[1:] or NAMES]) else 1)
