"""Networks of the shapes that torchvision and timm have, with random weights, exported by PyTorch's two exporters.

usage: python torch_models.py FOLDER [name ...]      pip install torch onnx onnxscript

Batch normalization gets random statistics, so that folding it is visible. Each network is written as
NAME.script.opset12.onnx (tracing, batch open), NAME.script.opset17.onnx (tracing) and NAME.dynamo.onnx where the exporter
is there and takes the network.
"""

import sys
import warnings
from pathlib import Path

import torch
from torch import nn

warnings.filterwarnings("ignore")


def conv_bn(c, k, size=3, stride=1, groups=1, act=nn.ReLU):
    layers = [nn.Conv2d(c, k, size, stride, size // 2, groups=groups, bias=False), nn.BatchNorm2d(k)]
    return nn.Sequential(*layers, *([act()] if act else []))


class Basic(nn.Module):
    def __init__(self, c, k, stride):
        super().__init__()
        self.body = nn.Sequential(conv_bn(c, k, 3, stride), conv_bn(k, k, 3, 1, act=None))
        self.skip = nn.Identity() if c == k and stride == 1 else conv_bn(c, k, 1, stride, act=None)

    def forward(self, x):
        return torch.relu(self.body(x) + self.skip(x))


def resnet18():
    stages = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]
    return nn.Sequential(
        conv_bn(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1), *[Basic(*s) for s in stages],
        nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(512, 1000),
    )


class SqueezeExcite(nn.Module):
    def __init__(self, c, squeezed, act, gate):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1, self.fc2 = nn.Conv2d(c, squeezed, 1), nn.Conv2d(squeezed, c, 1)
        self.act, self.gate = act(), gate()

    def forward(self, x):
        return x * self.gate(self.fc2(self.act(self.fc1(self.pool(x)))))


class Inverted(nn.Module):
    def __init__(self, c, wide, k, size, stride, act, se=None):
        super().__init__()
        layers = [] if wide == c else [conv_bn(c, wide, 1, act=act)]
        layers += [conv_bn(wide, wide, size, stride, wide, act=act)]
        if se:
            layers += [se(wide, c)]
        self.body = nn.Sequential(*layers, conv_bn(wide, k, 1, act=None))
        self.adds = c == k and stride == 1

    def forward(self, x):
        return x + self.body(x) if self.adds else self.body(x)


def mobilenet_v2():
    layers, c = [conv_bn(3, 32, 3, 2, act=nn.ReLU6)], 32
    for t, k, n, s in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for i in range(n):
            layers += [Inverted(c, c * t, k, 3, s if i == 0 else 1, nn.ReLU6)]
            c = k
    head = [conv_bn(c, 1280, 1, act=nn.ReLU6), nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Dropout(0.2), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers, *head)


def mobilenet_v3_small():
    se = lambda wide, c: SqueezeExcite(wide, max(8, wide // 4 // 8 * 8), nn.ReLU, nn.Hardsigmoid)
    rows = [(16, 16, 16, 3, 2, 1, 0), (16, 72, 24, 3, 2, 0, 0), (24, 88, 24, 3, 1, 0, 0), (24, 96, 40, 5, 2, 1, 1),
            (40, 240, 40, 5, 1, 1, 1), (40, 240, 40, 5, 1, 1, 1), (40, 120, 48, 5, 1, 1, 1), (48, 144, 48, 5, 1, 1, 1),
            (48, 288, 96, 5, 2, 1, 1), (96, 576, 96, 5, 1, 1, 1), (96, 576, 96, 5, 1, 1, 1)]
    body = [Inverted(c, w, k, r, s, nn.Hardswish if hs else nn.ReLU, se if has else None) for c, w, k, r, s, has, hs in rows]
    return nn.Sequential(
        conv_bn(3, 16, 3, 2, act=nn.Hardswish), *body, conv_bn(96, 576, 1, act=nn.Hardswish), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(1), nn.Linear(576, 1024), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(1024, 1000),
    )


def efficientnet_b0():
    se = lambda wide, c: SqueezeExcite(wide, max(1, c // 4), nn.SiLU, nn.Sigmoid)
    layers, c = [conv_bn(3, 32, 3, 2, act=nn.SiLU)], 32
    for t, k, n, r, s in [(1, 16, 1, 3, 1), (6, 24, 2, 3, 2), (6, 40, 2, 5, 2), (6, 80, 3, 3, 2), (6, 112, 3, 5, 1), (6, 192, 4, 5, 2), (6, 320, 1, 3, 1)]:
        for i in range(n):
            layers += [Inverted(c, c * t, k, r, s if i == 0 else 1, nn.SiLU, se)]
            c = k
    head = [conv_bn(c, 1280, 1, act=nn.SiLU), nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Dropout(0.2), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers, *head)


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.norm1, self.norm2, self.heads = nn.LayerNorm(d, 1e-6), nn.LayerNorm(d, 1e-6), heads
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        a = (q * (d // self.heads) ** -0.5 @ k.transpose(-2, -1)).softmax(-1)
        x = x + self.proj((a @ v).transpose(1, 2).reshape(n, t, d))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """ViT-tiny: 192 channels, 3 heads, patches of 16."""

    def __init__(self, d=192, heads=3, depth=12, size=224):
        super().__init__()
        self.patches = nn.Conv2d(3, d, 16, 16)
        self.token = nn.Parameter(torch.randn(1, 1, d) * 0.02)
        self.positions = nn.Parameter(torch.randn(1, (size // 16) ** 2 + 1, d) * 0.02)
        self.blocks = nn.Sequential(*[Block(d, heads) for _ in range(depth)])
        self.norm, self.head = nn.LayerNorm(d, 1e-6), nn.Linear(d, 1000)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


class ShuffleUnit(nn.Module):
    def __init__(self, c):
        super().__init__()
        h = c // 2
        self.branch = nn.Sequential(conv_bn(h, h, 1), conv_bn(h, h, 3, 1, h, act=None), conv_bn(h, h, 1))

    def forward(self, x):
        a, b = x.chunk(2, 1)
        x = torch.cat([a, self.branch(b)], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def shufflenet():
    return nn.Sequential(conv_bn(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1), conv_bn(24, 48, 3, 2), *[ShuffleUnit(48) for _ in range(3)],
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(48, 1000))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2, self.mid = conv_bn(3, 16), conv_bn(16, 32, 3, 2), conv_bn(32, 64, 3, 2)
        self.up2, self.up1 = nn.ConvTranspose2d(64, 32, 2, 2), nn.Upsample(scale_factor=2, mode="bilinear")
        self.join, self.out = conv_bn(64, 32, act=nn.LeakyReLU), nn.Conv2d(48, 2, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(a)
        y = self.join(torch.cat([self.up2(self.mid(b)), b], 1))
        return torch.sigmoid(self.out(torch.cat([self.up1(y), a], 1)))


class ConvNext(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.stem = nn.Conv2d(3, d, 4, 4)
        self.depthwise = nn.Conv2d(d, d, 7, 1, 3, groups=d)
        self.norm, self.up, self.down = nn.LayerNorm(d, 1e-6), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.gamma = nn.Parameter(torch.rand(d, 1, 1))
        self.head = nn.Linear(d, 100)

    def forward(self, x):
        x = self.stem(x)
        y = self.down(nn.functional.gelu(self.up(self.norm(self.depthwise(x).permute(0, 2, 3, 1)))))
        x = x + self.gamma * y.permute(0, 3, 1, 2)
        return self.head(x.mean((2, 3)))


MODELS = {"resnet18": (resnet18, 224), "mobilenet_v2": (mobilenet_v2, 224), "mobilenet_v3_small": (mobilenet_v3_small, 224),
          "efficientnet_b0": (efficientnet_b0, 224), "vit_tiny": (VisionTransformer, 224), "shufflenet": (shufflenet, 64),
          "unet": (UNet, 64), "convnext": (ConvNext, 64)}


def randomize(model):
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)


def main(folder, names):
    for name in names or MODELS:
        make, size = MODELS[name]
        torch.manual_seed(1)
        model = make()
        randomize(model)
        model.eval()
        x = torch.randn(1, 3, size, size)
        kinds = {
            "script.opset12": dict(dynamo=False, opset_version=12, input_names=["input"], output_names=["output"], dynamic_axes={"input": {0: "batch"}}),
            "script.opset17": dict(dynamo=False, opset_version=17, input_names=["input"], output_names=["output"]),
            "dynamo": dict(dynamo=True, external_data=False),
        }
        for kind, options in kinds.items():
            try:
                torch.onnx.export(model, (x,), str(Path(folder) / f"{name}.{kind}.onnx"), **options)
                print(name, kind, "written", flush=True)
            except Exception as error:
                print(name, kind, "not exported:", str(error).splitlines()[0][:200], flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
