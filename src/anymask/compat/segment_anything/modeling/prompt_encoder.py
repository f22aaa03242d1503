"""The prompt encoder."""

from anymask.models.prompt_encoder import PositionEmbeddingRandom, PromptEncoder

__all__ = ["PositionEmbeddingRandom", "PromptEncoder"]
