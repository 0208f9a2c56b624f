"""What of an engine runs on the device, between two events."""

__all__: list[str] = []
