"""Data sets, simulated prompts, losses and the loop that makes a model from them."""
