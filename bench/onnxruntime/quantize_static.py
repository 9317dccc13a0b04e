"""onnxruntime's own post-training quantization, the peer of the bench's part `lowbits`: QDQ, uint8 activations, int8
or int4 weights per channel, all other settings its defaults. One file a calibrator, so that the bench can take the best.

    python bench/onnxruntime/quantize_static.py float.onnx calibration.npy folder

calibration.npy is one array of the input's shape with all samples along its first axis. Writes
folder/{MinMax,Entropy,Percentile}-{8,4}.onnx. Nothing is measured here: the files run on the ONNX Runtime that runs
those of qdg.
"""

import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

CALIBRATORS = ["MinMax", "Entropy", "Percentile"]
WEIGHTS = {8: QuantType.QInt8, 4: QuantType.QInt4}


class Samples(CalibrationDataReader):
    """One sample at a time, as a batch of one."""

    def __init__(self, name, samples):
        self.feeds = iter({name: sample[np.newaxis]} for sample in samples)

    def get_next(self):
        return next(self.feeds, None)


def main(float_file, calibration, folder):
    # Its warnings are of its own internals.
    logging.disable(logging.WARNING)
    (graph_input,) = onnx.load(float_file).graph.input
    samples = np.load(calibration, mmap_mode="r")
    with tempfile.TemporaryDirectory() as temporary:
        prepared = str(Path(temporary) / "prepared.onnx")
        # What its documentation asks for before quantization; symbolic shapes are for transformers.
        quant_pre_process(float_file, prepared, skip_symbolic_shape=True)
        for name in CALIBRATORS:
            for bits, weight_type in WEIGHTS.items():
                quantize_static(
                    prepared,
                    str(Path(folder) / f"{name}-{bits}.onnx"),
                    Samples(graph_input.name, samples),
                    quant_format=QuantFormat.QDQ,
                    per_channel=True,
                    activation_type=QuantType.QUInt8,
                    weight_type=weight_type,
                    calibrate_method=CalibrationMethod[name],
                    # Ranges of activations are the same for all widths of weights.
                    calibration_cache_path=str(Path(temporary) / f"{name}.json"),
                )


if __name__ == "__main__":
    main(*sys.argv[1:])
