"""What chips can do, as their makers say: for plans on hardware that is not there.

chip = chip_of("h200")
chip.flops, chip.memory, chip.bandwidth        # a second in bfloat16, bytes, bytes a second
chip.between((0, 1)), chip.between((0, 8))     # 4.5e11 beside each other, 5e10 from host to host
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtrain.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class Chip:
    """One device and its links.

    Attributes:
        name: what it is called here.
        flops: floating-point operations a second, products in bfloat16, without sparsity.
        memory: bytes.
        bandwidth: of the memory, bytes a second.
        link: bytes a second that a device sends to its neighbours, over all of its links together;
            half of what data sheets call bidirectional.
        neighbours: how many devices have such links to each other.
        network: bytes a second that a device sends to those beyond; None where it is not known.
        source: where the figures are from.
    """

    name: str
    flops: float
    memory: float
    bandwidth: float
    link: float
    neighbours: int
    network: float | None
    source: str

    def between(self, members: Sequence[int]) -> float:
        """Bytes a second that each of these devices sends, where all of them talk in a ring.

        Rings can be laid so that each device of a host uses its own adapter to leave it: what goes
        from host to host goes as fast as all adapters of the members there.

        Args:
            members: numbers of devices, those of one host, or pod, beside each other.

        Raises:
            ConfigError: they lie apart, and nobody says how fast the network is.
        """
        homes = [member // self.neighbours for member in members]
        if len(set(homes)) == 1:
            return self.link
        if self.network is None:
            raise ConfigError(
                f"--chip {self.name}: more than {self.neighbours:,} devices; how fast those beyond "
                "are reached is not known here"
            )
        return min(self.link, self.network * min(homes.count(home) for home in homes))


_NVIDIA = "NVIDIA {0} Tensor Core GPU data sheet (SXM); adapters: NVIDIA DGX {0} data sheet"
_TPU = "cloud.google.com/tpu/docs/{0}"

_CHIPS = {
    chip.name: chip
    for chip in (
        # FLOP/s are those with sparsity, halved, but for A100. NVLink's 600, 900, 1,800 GB/s are
        # both ways together. Eight adapters a host: HDR of 200, NDR of 400 Gb/s.
        Chip("a100", 312e12, 80e9, 2.039e12, 300e9, 8, 25e9, _NVIDIA.format("A100")),
        Chip("h100", 989.5e12, 80e9, 3.35e12, 450e9, 8, 50e9, _NVIDIA.format("H100")),
        Chip("h200", 989.5e12, 141e9, 4.8e12, 450e9, 8, 50e9, _NVIDIA.format("H200")),
        Chip("b200", 2.25e15, 180e9, 8e12, 900e9, 8, 50e9, _NVIDIA.format("B200")),
        # Interconnect: "bidirectional", halved. Network: of a pod, by the chips in it.
        Chip("v5e", 197e12, 16e9, 819e9, 200e9, 256, 6.4e12 / 8 / 256, _TPU.format("v5e")),
        Chip("v5p", 459e12, 95e9, 2.765e12, 600e9, 8960, None, _TPU.format("v5p")),
        Chip("v6e", 918e12, 32e9, 1.638e12, 400e9, 256, 25.6e12 / 8 / 256, _TPU.format("v6e")),
    )
}


def chip_of(name: str) -> Chip:
    """A chip by its name.

    Raises:
        ConfigError: it is not known here; the known ones are listed.
    """
    found = _CHIPS.get(name.lower())
    if found is None:
        raise ConfigError(
            f"--chip: {name!r} is not known here{did_you_mean(name, _CHIPS)} "
            f"(known: {', '.join(_CHIPS)})"
        )
    return found
