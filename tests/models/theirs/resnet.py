"""ResNet as torchvision defines it (models/resnet.py, BasicBlock), names of parameters included."""

from __future__ import annotations

import torch
from torch import nn


def conv(features_in: int, features: int, size: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(features_in, features, size, stride, padding=size // 2, bias=False)


class BasicBlock(nn.Module):
    def __init__(self, features_in, features, stride):
        super().__init__()
        self.conv1 = conv(features_in, features, 3, stride)
        self.bn1 = nn.BatchNorm2d(features)
        self.conv2 = conv(features, features, 3, 1)
        self.bn2 = nn.BatchNorm2d(features)
        self.downsample = None
        if stride != 1 or features_in != features:
            self.downsample = nn.Sequential(
                conv(features_in, features, 1, stride), nn.BatchNorm2d(features)
            )

    def forward(self, x):
        out = torch.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return torch.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """With `small`, the stem that is usual for CIFAR-10 in the place of the published one."""

    def __init__(
        self,
        outputs=1000,
        channels=3,
        widths=(64, 128, 256, 512),
        blocks=(2, 2, 2, 2),
        *,
        small=False,
    ):
        super().__init__()
        self.conv1 = conv(channels, widths[0], *((3, 1) if small else (7, 2)))
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, padding=1)
        self.layers, width_in = len(widths), widths[0]
        for stage, (width, number) in enumerate(zip(widths, blocks, strict=True)):
            made = [BasicBlock(width_in, width, 2 if stage else 1)]
            made += [BasicBlock(width, width, 1) for _ in range(number - 1)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*made))
            width_in = width
        self.fc = nn.Linear(width_in, outputs)

    def forward(self, x):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for stage in range(self.layers):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(x.mean(dim=(2, 3)))
