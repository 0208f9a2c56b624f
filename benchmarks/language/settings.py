"""What is the same in every framework besides the model."""

LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-4

# Different ones; they come again and again.
BATCHES = 16

# Of what is written.
PROMPT = 64
TOP_P = 0.9
MODES = ("greedy", "top-p")
