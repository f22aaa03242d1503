"""Images and prompts become masks."""
