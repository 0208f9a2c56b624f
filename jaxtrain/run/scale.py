"""How long a step takes on so many devices of a kind, with the formula that says so.

    found = simulated(config, 256)
    print("\\n".join(scale_lines(found, chip_of("h200"))))
    Prediction.of(found, chip_of("h200")).step           # seconds

    products  = FLOP of products / peak
    memory    = (bytes that products read and write + what the update does) / memory's bandwidth
    links     = sum over collectives of what each device sends in a ring / what it can send
    step      = max(products, memory) + links

The parts are at their makers' best, so a real step takes longer; nothing of the links' time is
taken to hide behind the rest, though compilers hide some of it, and `hidden` is the step if all of
it did. What starting a kernel or a collective takes is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtrain.parallel import Collective, summed
from jaxtrain.run.chips import Chip
from jaxtrain.run.needs import Needs
from jaxtrain.run.simulated import Simulated
from jaxtrain.units import as_bytes, si


@dataclass(frozen=True)
class Prediction:
    """Seconds of a step, by what takes them.

    Attributes:
        products: what products and convolutions take at the chip's peak.
        memory: what their bytes and those of the update take.
        links: what the collectives take.
    """

    products: float
    memory: float
    links: float

    @classmethod
    def of(cls, found: Simulated, chip: Chip) -> Prediction:
        """That of a step on devices of a kind.

        Raises:
            ConfigError: devices of that kind can't be connected so, as far as is known here.
        """
        return cls(
            products=found.work.flops / chip.flops,
            memory=(found.work.bytes + updated(found.needs)) / chip.bandwidth,
            links=sum(taken(one, chip) for one in found.collectives),
        )

    @property
    def step(self) -> float:
        """All of it, where nothing of the links' time is hidden."""
        return max(self.products, self.memory) + self.links

    @property
    def hidden(self) -> float:
        """All of it, where communication and computation go on at the same time throughout."""
        return max(self.products, self.memory, self.links)


def taken(one: Collective, chip: Chip) -> float:
    """Seconds that a collective takes in a step."""
    return one.sent / chip.between(one.members)


def updated(needs: Needs) -> int:
    """Bytes that an update reads and writes: parameters, state, and gradients that were written."""
    return 2 * (needs.params + needs.optimizer + needs.gradients)


def scale_lines(found: Simulated, chip: Chip | None) -> list[str]:
    """What a step needs, says and takes on each device, as lines.

    Args:
        found: the step.
        chip: what it is to run on; None where only bytes are asked for.

    Raises:
        ConfigError: devices of that kind can't be connected so, as far as is known here.
    """
    return [
        *found.layout,
        f"compiled   for as many simulated devices, in {found.seconds:.0f} s; nothing was run",
        *_byte_lines(found, chip),
        *_collective_lines(found, chip),
        *([] if chip is None else _time_lines(found, chip)),
    ]


def _byte_lines(found: Simulated, chip: Chip | None) -> list[str]:
    needs = found.needs
    parts = [f"{as_bytes(n)} {name}" for name, n in needs.by_part().items() if n]
    lines = [
        f"bytes      {as_bytes(needs.total)} on each device, beside what kernels work in and what "
        "is gathered:",
        *(f"           {part}" for part in parts),
    ]
    if chip is not None and needs.total > chip.memory:
        lines.append(
            f"TOO MUCH   {as_bytes(needs.total)} are more than a {chip.name} has, "
            f"{as_bytes(chip.memory)}: raise mesh.fsdp or train.accumulate, or reduce "
            "data.batch_size"
        )
    return lines


def _collective_lines(found: Simulated, chip: Chip | None) -> list[str]:
    groups = summed(found.collectives)
    if not groups:
        return ["says       nothing: no device needs another"]
    lines = ["says       in a step, each device:"]
    for one in groups:
        each = f"{one.count:,} {one.kind}{'s' if one.count > 1 else ''} among {one.parts}"
        line = f"           {each}, of {as_bytes(one.bytes)} on average: sends {as_bytes(one.sent)}"
        if chip is not None:
            speed = chip.between(one.members)
            line += f" at {si(speed)}B/s, {si(one.sent / speed)}s"
        lines.append(line)
    return lines


def _time_lines(found: Simulated, chip: Chip) -> list[str]:
    took, work = Prediction.of(found, chip), found.work
    beyond = "" if chip.network is None else f", {si(chip.network)}B/s beyond"
    lines = [
        f"chip       {chip.name}: {si(chip.flops)}FLOP/s in bfloat16, {as_bytes(chip.memory)} at "
        f"{si(chip.bandwidth)}B/s; sends {si(chip.link)}B/s among {chip.neighbours:,}{beyond}",
        f"           ({chip.source})",
        f"products   {si(work.flops)}FLOP / {si(chip.flops)}FLOP/s = {si(took.products)}s",
        f"memory     ({si(work.bytes)}B of products + {si(updated(found.needs))}B of the update) / "
        f"{si(chip.bandwidth)}B/s = {si(took.memory)}s",
        f"links      the sum of the above = {si(took.links)}s",
        f"step       max(products, memory) + links = {si(took.step)}s at best; "
        f"{si(took.hidden)}s if all communication hid behind the rest",
    ]
    if found.needs.compute_dtype != "bfloat16":
        lines.append(
            f"REMARK     the run computes in {found.needs.compute_dtype}, in which the chip does "
            "less: the time of products is that in bfloat16"
        )
    if work.unknown_loops:
        lines.append(
            f"REMARK     {work.unknown_loops} loops run as long as their data say, and count as "
            "one round"
        )
    return lines
