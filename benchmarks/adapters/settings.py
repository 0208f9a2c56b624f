"""What all frameworks do when an adapter is trained."""

RANK, ALPHA = 16, 32.0
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 0.01

# What PEFT wants.
PROGRAMS = ("torch", "transformers", "peft")
