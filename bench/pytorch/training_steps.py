"""Steps of training of MobileNetV2 0.35 in PyTorch, in float and by Brevitas with learned scales: the peer of the bench's
part `training`.

    python bench/pytorch/training_steps.py SIZE BATCH CLASSES THREADS

For each line of stdin, which is "float" or bits such as "W3A8", takes one step of that network and answers with a line:
the milliseconds that it took. Images are noise. One scale an output channel of a weight, one of each activation, all
learned (LSQ); first and last layer at 8 bits; Adam; batch statistics, as qdg has it.
"""

import re
import sys
import time

import torch
from brevitas.inject.enum import ScalingImplType
from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear
from torch import nn

# Table 2 of the paper: expansion, channels, blocks, stride of the first block.
STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
WIDTH = 0.35


def channels(wanted):
    wanted *= WIDTH
    nearest = max(8, int(wanted + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * wanted else nearest


class Layers:
    """The layers of a network in float (bits None), or with quantizers of (weights, activations) bits."""

    def __init__(self, bits):
        self.bits = bits

    def convolution(self, inputs, outputs, kernel, stride=1, groups=1, bits=None):
        settings = {"stride": stride, "padding": kernel // 2, "groups": groups, "bias": False}
        if self.bits is None:
            return nn.Conv2d(inputs, outputs, kernel, **settings)
        return QuantConv2d(inputs, outputs, kernel, **settings, **self.weights(bits))

    def weights(self, bits):
        return {
            "weight_bit_width": bits or self.bits[0],
            "weight_scaling_per_output_channel": True,
            "weight_scaling_impl_type": ScalingImplType.PARAMETER_FROM_STATS,
        }

    def activation(self, signed):
        """What follows a normalization: ReLU6, or nothing, and the quantizer."""
        rectifier = [] if signed else [nn.ReLU6()]
        if self.bits is None:
            return rectifier
        # Its first steps take percentiles of all values, to begin from: one of them, for what follows is measured.
        return [
            *rectifier,
            QuantIdentity(bit_width=self.bits[1], signed=signed, collect_stats_steps=1, return_quant_tensor=False),
        ]

    def block(self, inputs, outputs, kernel, stride=1, groups=1, rectified=True, bits=None):
        return [
            self.convolution(inputs, outputs, kernel, stride, groups, bits),
            nn.BatchNorm2d(outputs),
            *self.activation(signed=not rectified),
        ]

    def dense(self, inputs, outputs):
        return nn.Linear(inputs, outputs) if self.bits is None else QuantLinear(inputs, outputs, True, **self.weights(8))


class Residual(nn.Module):
    def __init__(self, layers, inputs, outputs, expansion, stride):
        super().__init__()
        wide = inputs * expansion
        expand = layers.block(inputs, wide, 1) if expansion > 1 else []
        self.inner = nn.Sequential(
            *expand,
            *layers.block(wide, wide, 3, stride, groups=wide),
            *layers.block(wide, outputs, 1, rectified=False),
        )
        self.sum = nn.Sequential(*(layers.activation(signed=True) if layers.bits else []))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x):
        return self.sum(x + self.inner(x)) if self.adds else self.inner(x)


def network(bits, classes):
    layers = Layers(bits)
    width = channels(32)
    parts = layers.block(3, width, 3, 2, bits=8)
    for expansion, wanted, blocks, stride in STAGES:
        for block in range(blocks):
            parts.append(Residual(layers, width, channels(wanted), expansion, stride if block == 0 else 1))
            width = channels(wanted)
    parts += layers.block(width, 1280, 1)
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), layers.dense(1280, classes)]
    return nn.Sequential(*parts).train()


class Running:
    def __init__(self, name, size, batch, classes):
        bits = None if name == "float" else tuple(map(int, re.fullmatch(r"W(\d)A(\d)", name).groups()))
        torch.manual_seed(1)
        self.images = torch.rand(batch, 3, size, size) * 2 - 1
        self.labels = torch.arange(batch) % classes
        self.network = network(bits, classes)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-4)

    def step(self):
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.network(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        if not torch.isfinite(loss):
            raise ValueError(f"the loss is {loss.item()}")


def main(size, batch, classes, threads):
    torch.set_num_threads(threads)
    running = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in running:
            running[name] = Running(name, size, batch, classes)
        start = time.perf_counter()
        running[name].step()
        print((time.perf_counter() - start) * 1000, flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
