"""Kernels that a language model does not have, as PEFT adapts them in PyTorch."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the peers extra installs PyTorch")
transformers = pytest.importorskip("transformers", reason="the peers extra installs transformers")
peft = pytest.importorskip("peft", reason="the peers extra installs peft")

from transformers.pytorch_utils import Conv1D  # noqa: E402

from jaxtrain import lora  # noqa: E402
from tests.lora.peft.theirs import fill  # noqa: E402


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 5, (3, 2))
        self.line = torch.nn.Conv1d(5, 4, 3)
        self.fc = Conv1D(6, 4)  # GPT-2's: [in, out]
        self.out = torch.nn.Linear(6, 2)


def numbers(tensor):
    return tensor.detach().numpy()


def tree_of(net):
    return {
        "conv": {"kernel": numbers(net.conv.weight).transpose(2, 3, 1, 0)},
        "conv_of_lines": {"kernel": numbers(net.line.weight).transpose(2, 1, 0)},
        "fc": {"kernel": numbers(net.fc.weight)},
        "out": {"kernel": numbers(net.out.weight).T},
    }


NAMES = {"conv_of_lines": "line"}


@pytest.mark.parametrize(
    ("targets", "options"),
    [
        (["conv"], {}),
        (["conv", "line", "out"], {"use_rslora": True}),
        (["conv", "out"], {"use_dora": True}),
        (["fc"], {"fan_in_fan_out": True}),
        (["fc"], {"fan_in_fan_out": True, "use_dora": True}),
    ],
)
def test_merged_weights_are_theirs(tmp_path, targets, options):
    torch.manual_seed(0)
    net = Net()
    params = tree_of(net)
    config = peft.LoraConfig(r=2, lora_alpha=3, target_modules=targets, **options)
    model = fill(peft.get_peft_model(copy.deepcopy(net), config))
    model.save_pretrained(tmp_path / "theirs")
    adapter = lora.load_lora(tmp_path / "theirs", params, names=NAMES)
    expected = tree_of(copy.deepcopy(model).merge_and_unload())
    found = lora.merge(params, adapter)
    for name, kernel in expected.items():
        np.testing.assert_allclose(found[name]["kernel"], kernel["kernel"], rtol=1e-4, atol=1e-5)
    assert np.abs(expected[targets[0]]["kernel"] - params[targets[0]]["kernel"]).max() > 0.05

    path = lora.save_lora(tmp_path / "ours", adapter, params=params, names=NAMES)
    again = peft.PeftModel.from_pretrained(copy.deepcopy(net), path).merge_and_unload()
    for name, kernel in tree_of(again).items():
        np.testing.assert_allclose(kernel["kernel"], expected[name]["kernel"], rtol=1e-4, atol=1e-5)
