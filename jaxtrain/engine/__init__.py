"""Events, the loop, and what runs on the device between two events."""

from jaxtrain.engine.engine import Engine
from jaxtrain.engine.events import Event, Events, EventSet
from jaxtrain.engine.handlers import RemovableHandle
from jaxtrain.engine.state import EngineState, Interrupted

__all__ = ["Engine", "EngineState", "Event", "EventSet", "Events", "Interrupted", "RemovableHandle"]
