"""The embedded model's weights and model card."""
