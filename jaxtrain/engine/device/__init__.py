"""What of an engine runs on the device, between two events."""

from jaxtrain.engine.device.dispatch import Dispatch
from jaxtrain.engine.device.output import Output
from jaxtrain.engine.device.pacer import Pacer
from jaxtrain.engine.device.window import Window

__all__ = ["Dispatch", "Output", "Pacer", "Window"]
