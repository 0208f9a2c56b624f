"""Groups of parameters in the section `optimizer`: all its options again, each of them optional.

optimizer:
weight_decay: 0.1
groups:
no_decay: {match: ["*/bias", "*/scale"], weight_decay: 0.0}
head: {match: head/*, learning_rate: 1.0e-2}
stem: {match: stem/*, freeze: true}
"""

from __future__ import annotations

from typing import Annotated, Any, Optional

import pydantic
from pydantic import Field
from typing_extensions import TypedDict

from jaxtrain.config.frozen_dict import FrozenDict
from jaxtrain.config.schema import GroupSection
from jaxtrain.config.tree import ConfigDict


def with_groups(section: type[pydantic.BaseModel], groups: Any) -> type[pydantic.BaseModel]:
    """The section of an optimizer, its `groups` with the options that the optimizer has.

    Args:
        section: with all options of the optimizer that is named.
        groups: what the user wrote; its keys name the groups.
    """
    if not isinstance(groups, ConfigDict) or not groups:
        return section
    common = {"name", "groups", "lookahead", "batch_scaling"}
    common |= {"clip_norm", "clip_value", "clip_leaf_norm"}
    options: dict[str, Any] = {
        name: (_or_null(field), None)
        for name, field in section.model_fields.items()
        if name not in common | GroupSection.model_fields.keys()
    }
    group = pydantic.create_model("Group", __base__=GroupSection, **options)
    kind = TypedDict("Groups", dict.fromkeys(groups, group))  # type: ignore[misc]
    named: dict[str, Any] = {"groups": (kind, Field(default_factory=FrozenDict))}
    return pydantic.create_model(section.__name__, __base__=section, **named)


def _or_null(field: pydantic.fields.FieldInfo) -> Any:
    kind: Any = field.annotation
    for bound in field.metadata:
        kind = Annotated[kind, bound]
    return Optional[kind]  # noqa: UP045 - of what is not known before it runs
