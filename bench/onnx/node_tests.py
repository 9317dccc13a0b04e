"""Writes the official tests of ONNX's operators, one folder a test: model.onnx, and its inputs and outputs as tensors.

usage: python node_tests.py FOLDER      pip install onnx==1.23.2 numpy
"""

import sys
import warnings
from pathlib import Path

import numpy as np
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

warnings.filterwarnings("ignore")


def proto(value, name):
    if isinstance(value, TensorProto):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return numpy_helper.from_array(np.asarray(value), name)
    return None


def main(folder):
    for case in load_model_tests(kind="node"):
        inputs, outputs = case.data_sets[0]
        named = [(kind, i, proto(v, "")) for kind, values in (("input", inputs), ("output", outputs)) for i, v in enumerate(values)]
        target = Path(folder) / case.name
        target.mkdir(parents=True, exist_ok=True)
        (target / "model.onnx").write_bytes(case.model.SerializeToString())
        for kind, i, value in named:
            if value is not None:
                (target / f"{kind}_{i}.pb").write_bytes(value.SerializeToString())


if __name__ == "__main__":
    main(sys.argv[1])
