"""Events, the loop, and what runs on the device between two events."""

from jaxtrain.engine.device.members import InCommon
from jaxtrain.engine.device.output import Output
from jaxtrain.engine.device.window import Window
from jaxtrain.engine.engine import Engine
from jaxtrain.engine.events import Event, Events, EventSet
from jaxtrain.engine.form import Form
from jaxtrain.engine.handlers import RemovableHandle
from jaxtrain.engine.own_loop import OwnLoop
from jaxtrain.engine.plan import Plan
from jaxtrain.engine.state import EngineState

__all__ = [
    "Engine",
    "EngineState",
    "Event",
    "EventSet",
    "Events",
    "Form",
    "InCommon",
    "Output",
    "OwnLoop",
    "Plan",
    "RemovableHandle",
    "Window",
]
