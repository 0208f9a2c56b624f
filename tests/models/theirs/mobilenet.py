"""MobileNetV2 as torchvision defines it (models/mobilenetv2.py), names of parameters included."""

from __future__ import annotations

from torch import nn

SETTING = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def make_divisible(v, divisor=8):
    new_v = max(divisor, int(v + divisor / 2) // divisor * divisor)
    if new_v < 0.9 * v:
        new_v += divisor
    return new_v


def conv_bn(features_in, features, size, stride, groups=1, *, relu=True):
    padding = (size - 1) // 2
    layers = [
        nn.Conv2d(features_in, features, size, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(features),
    ]
    return [nn.Sequential(*layers, nn.ReLU6())] if relu else layers


class InvertedResidual(nn.Module):
    def __init__(self, inp, oup, stride, expand_ratio):
        super().__init__()
        hidden = round(inp * expand_ratio)
        self.use_res_connect = stride == 1 and inp == oup
        layers = [] if expand_ratio == 1 else conv_bn(inp, hidden, 1, 1)
        layers += conv_bn(hidden, hidden, 3, stride, hidden)
        layers += conv_bn(hidden, oup, 1, 1, relu=False)
        self.conv = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self, outputs=1000, channels=3, width_mult=1.0, setting=SETTING, dropout=0.2):
        super().__init__()
        inp = make_divisible(32 * width_mult)
        last = make_divisible(1280 * max(1.0, width_mult))
        features = conv_bn(channels, inp, 3, 2)
        for t, c, n, s in setting:
            for i in range(n):
                oup = make_divisible(c * width_mult)
                features.append(InvertedResidual(inp, oup, s if i == 0 else 1, t))
                inp = oup
        self.features = nn.Sequential(*features, *conv_bn(inp, last, 1, 1))
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, outputs))

    def forward(self, x):
        return self.classifier(self.features(x).mean(dim=(2, 3)))
