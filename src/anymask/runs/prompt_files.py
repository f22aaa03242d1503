"""PLACEHOLDER, to be replaced wholly by the author of the inputs."""


def to_prompts(prompts):
    raise NotImplementedError
