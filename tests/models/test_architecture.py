"""Sizes of networks, measured; tests of configurations draw more of them."""

import pytest
import torch

from anymask.models.architecture import ArchitectureError, VitArchitecture
from anymask.models.image_encoder import ImageEncoderViT
from anymask.models.registry import VITS, assemble, build_model


@pytest.mark.parametrize("name", list(VITS))
def test_the_published_networks_are_measured(name):
    with torch.device("meta"):
        assert VitArchitecture.of(build_model(name)) == VITS[name]
        assert VitArchitecture.of(build_model(name, 512)) == VITS[name].at(512)


def test_blocks_with_global_attention_alone_have_no_window():
    everywhere = VitArchitecture(image_size=64, embed_dim=32, depth=2, num_heads=2, global_blocks=(0, 1))
    with torch.device("meta"):
        assert VitArchitecture.of(everywhere.build()).global_blocks == (0, 1)


@pytest.mark.parametrize("name", ["pocket", "mobile_sam"])
def test_other_encoders_are_not_measured(name):
    with torch.device("meta"), pytest.raises(ArchitectureError, match=r"is a (PocketEncoder|TinyViT), not a plain"):
        VitArchitecture.of(build_model(name))


def test_other_norms_activations_and_layers_are_not_measured():
    for options in ({"norm_layer": torch.nn.LayerNorm}, {"act_layer": torch.nn.ReLU}):
        network = assemble(ImageEncoderViT(img_size=64, embed_dim=32, depth=1, num_heads=2, **options), 64)
        with pytest.raises(ArchitectureError, match="other layers, norms or activations"):
            VitArchitecture.of(network)
    network = assemble(ImageEncoderViT(img_size=64, embed_dim=32, depth=1, num_heads=2), 64)
    network.prompt_encoder.mask_downscaling[3] = torch.nn.Identity()
    with pytest.raises(ArchitectureError, match="prompt encoder or mask decoder has other layers"):
        VitArchitecture.of(network)
