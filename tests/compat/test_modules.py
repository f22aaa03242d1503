import copy
import importlib
import inspect

import pytest
import torch
from torch import nn

from anymask.compat import segment_anything
from anymask.compat.segment_anything import sam_model_registry
from anymask.models.checkpoints import CheckpointError
from anymask.models.registry import build_model
from anymask.models.tiny_vit import TinyViT

PACKAGE = "anymask.compat.segment_anything"
build_module = importlib.import_module(f"{PACKAGE}.build_sam")


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("", "SamPredictor sam_model_registry build_sam build_sam_vit_h build_sam_vit_l build_sam_vit_b"),
        (".build_sam", "sam_model_registry build_sam build_sam_vit_h build_sam_vit_l build_sam_vit_b"),
        (".predictor", "SamPredictor"),
        (".modeling", "Sam ImageEncoderViT MaskDecoder PromptEncoder TwoWayTransformer"),
        (".modeling.sam", "Sam"),
        (
            ".modeling.image_encoder",
            "ImageEncoderViT PatchEmbed Block Attention window_partition window_unpartition",
        ),
        (".modeling.mask_decoder", "MaskDecoder MLP"),
        (".modeling.prompt_encoder", "PromptEncoder PositionEmbeddingRandom"),
        (".modeling.transformer", "TwoWayTransformer TwoWayAttentionBlock Attention"),
        (".modeling.common", "LayerNorm2d MLPBlock"),
        (".utils.transforms", "ResizeLongestSide"),
        (".utils.onnx", "SamOnnxModel"),
    ],
)
def test_published_import_paths_exist(module, names):
    imported = importlib.import_module(PACKAGE + module)
    for name in names.split():
        assert hasattr(imported, name), f"{PACKAGE}{module} lacks {name}"


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("predictor.SamPredictor.__init__", "sam_model"),
        ("predictor.SamPredictor.set_image", "image image_format"),
        ("predictor.SamPredictor.set_torch_image", "transformed_image original_image_size"),
        (
            "predictor.SamPredictor.predict",
            "point_coords point_labels box mask_input multimask_output return_logits",
        ),
        (
            "predictor.SamPredictor.predict_torch",
            "point_coords point_labels boxes mask_input multimask_output return_logits",
        ),
        ("modeling.sam.Sam.__init__", "image_encoder prompt_encoder mask_decoder pixel_mean pixel_std"),
        ("modeling.sam.Sam.forward", "batched_input multimask_output"),
        ("modeling.sam.Sam.postprocess_masks", "masks input_size original_size"),
        ("modeling.sam.Sam.preprocess", "x"),
        (
            "modeling.mask_decoder.MaskDecoder.__init__",
            "transformer_dim transformer num_multimask_outputs activation iou_head_depth iou_head_hidden_dim",
        ),
        (
            "modeling.mask_decoder.MaskDecoder.forward",
            "image_embeddings image_pe sparse_prompt_embeddings dense_prompt_embeddings multimask_output",
        ),
        (
            "modeling.mask_decoder.MaskDecoder.predict_masks",
            "image_embeddings image_pe sparse_prompt_embeddings dense_prompt_embeddings",
        ),
        (
            "modeling.prompt_encoder.PromptEncoder.__init__",
            "embed_dim image_embedding_size input_image_size mask_in_chans activation",
        ),
        ("modeling.prompt_encoder.PromptEncoder.forward", "points boxes masks"),
        ("modeling.prompt_encoder.PositionEmbeddingRandom.forward_with_coords", "coords_input image_size"),
        (
            "modeling.transformer.TwoWayTransformer.__init__",
            "depth embedding_dim num_heads mlp_dim activation attention_downsample_rate",
        ),
        ("modeling.transformer.TwoWayTransformer.forward", "image_embedding image_pe point_embedding"),
        (
            "modeling.image_encoder.ImageEncoderViT.__init__",
            "img_size patch_size in_chans embed_dim depth num_heads mlp_ratio out_chans qkv_bias norm_layer "
            "act_layer use_abs_pos use_rel_pos rel_pos_zero_init window_size global_attn_indexes",
        ),
        (
            "utils.onnx.SamOnnxModel.__init__",
            "model return_single_mask use_stability_score return_extra_metrics",
        ),
        (
            "utils.onnx.SamOnnxModel.forward",
            "image_embeddings point_coords point_labels mask_input has_mask_input orig_im_size",
        ),
        ("utils.onnx.SamOnnxModel.mask_postprocessing", "masks orig_im_size"),
        ("utils.onnx.SamOnnxModel.select_masks", "masks iou_preds num_points"),
        ("utils.onnx.SamOnnxModel.resize_longest_image_size", "input_image_size longest_side"),
        ("utils.transforms.ResizeLongestSide.apply_image", "image"),
        ("utils.transforms.ResizeLongestSide.apply_coords", "coords original_size"),
        ("utils.transforms.ResizeLongestSide.apply_boxes", "boxes original_size"),
        ("utils.transforms.ResizeLongestSide.apply_boxes_torch", "boxes original_size"),
    ],
)
def test_parameters_have_the_published_names_and_order(path, parameters):
    *modules, owner, method = path.split(".")
    function = getattr(getattr(importlib.import_module(".".join([PACKAGE, *modules])), owner), method)
    assert [name for name in inspect.signature(function).parameters if name != "self"] == parameters.split()


@pytest.mark.parametrize(("key", "depth"), [("default", 32), ("vit_h", 32), ("vit_l", 24), ("vit_b", 12)])
def test_the_registry_builds_the_published_models(key, depth):
    with torch.device("meta"):
        sam = sam_model_registry[key]()
        sam = sam.to(device="meta")
    assert len(sam.image_encoder.blocks) == depth
    assert sam.image_encoder.img_size == 1024
    assert not sam.training


def test_build_sam_is_vit_h():
    assert segment_anything.build_sam is segment_anything.build_sam_vit_h
    assert sam_model_registry["default"] is segment_anything.build_sam_vit_h


def test_vit_t_is_mobile_sam_as_in_its_own_package():
    assert sam_model_registry["vit_t"] is segment_anything.build_sam_vit_t
    with torch.device("meta"):
        sam = segment_anything.build_sam_vit_t().to(device="meta")
    assert type(sam.image_encoder) is TinyViT
    assert sam.image_encoder.img_size == 1024
    assert not sam.training


@pytest.fixture(scope="module")
def pocket():
    return build_model("pocket", 64).eval()


@pytest.fixture
def small_builds(pocket, monkeypatch):
    def build(_name):
        copied = copy.deepcopy(pocket)
        nn.init.zeros_(copied.mask_decoder.iou_token.weight)
        return copied.train()

    monkeypatch.setattr(build_module, "build_model", build)


@pytest.mark.usefixtures("small_builds")
@pytest.mark.parametrize("key", ["vit_h", "vit_l", "vit_b", "vit_t", "pocket", "default"])
def test_a_checkpoint_is_loaded(pocket, tmp_path, key):
    path = tmp_path / "sam.pth"
    torch.save(pocket.state_dict(), path)
    sam = sam_model_registry[key](checkpoint=path if key == "vit_b" else str(path))
    assert torch.equal(sam.mask_decoder.iou_token.weight, pocket.mask_decoder.iou_token.weight)
    assert not sam.training


@pytest.mark.usefixtures("small_builds")
def test_a_checkpoint_is_loaded_strictly(pocket, tmp_path):
    path = tmp_path / "sam.pth"
    torch.save(dict(pocket.state_dict(), extra=torch.zeros(1)), path)
    with pytest.raises(CheckpointError, match=r"sam\.pth is not a checkpoint of vit_b.*first extra"):
        segment_anything.build_sam_vit_b(path)
    with pytest.raises(CheckpointError, match="no such file"):
        segment_anything.build_sam_vit_b(str(tmp_path / "missing.pth"))


@pytest.mark.usefixtures("small_builds")
def test_pocket_without_a_checkpoint_has_the_weights_in_the_package(pocket, tmp_path, monkeypatch):
    path = tmp_path / "pocket.pth"
    torch.save(pocket.state_dict(), path)
    asked = []
    monkeypatch.setattr(build_module, "locate", lambda name: asked.append(name) or path)
    sam = sam_model_registry["pocket"]()
    assert asked == ["pocket"]
    assert torch.equal(sam.mask_decoder.iou_token.weight, pocket.mask_decoder.iou_token.weight)


def test_attributes_that_other_code_touches(pocket):
    decoder, encoder = pocket.mask_decoder, pocket.prompt_encoder
    assert decoder.iou_token.weight.shape == (1, 256)
    assert decoder.mask_tokens.weight.shape == (decoder.num_mask_tokens, 256) == (4, 256)
    assert decoder.num_multimask_outputs == 3
    assert decoder.transformer_dim == 256
    assert len(decoder.output_hypernetworks_mlps) == 4
    assert encoder.mask_input_size == (16, 16)
    assert encoder.image_embedding_size == (4, 4)
    assert encoder.input_image_size == (64, 64)
    assert encoder.embed_dim == 256
    assert encoder.num_point_embeddings == len(encoder.point_embeddings) == 4
    assert encoder.not_a_point_embed.weight.shape == encoder.no_mask_embed.weight.shape == (1, 256)
    assert encoder.pe_layer((4, 4)).shape == (256, 4, 4)
    assert pocket.pixel_mean.shape == pocket.pixel_std.shape == (3, 1, 1)
    with torch.device("meta"):
        vit = build_model("vit_b").image_encoder
    assert isinstance(vit.patch_embed.proj, nn.Conv2d)
    assert vit.pos_embed.shape == (1, 64, 64, 768)
    assert isinstance(vit.blocks[0].attn.qkv, nn.Linear)
    assert [index for index, block in enumerate(vit.blocks) if block.window_size == 0] == [2, 5, 8, 11]


@torch.no_grad()
def test_methods_that_exporters_call(pocket):
    encoder = pocket.prompt_encoder
    points, labels = torch.tensor([[[9.0, 4.0]], [[30.0, 50.0]]]), torch.tensor([[1], [0]])
    boxes, masks = torch.tensor([[1.0, 2.0, 30.0, 40.0]] * 2), torch.randn(2, 1, 16, 16)
    sparse, dense = encoder((points, labels), boxes, masks)
    pieces = [encoder._embed_points(points, labels, pad=False), encoder._embed_boxes(boxes)]
    assert torch.equal(torch.cat(pieces, dim=1), sparse)
    assert encoder._embed_points(points, labels, pad=True).shape == (2, 2, 256)
    assert torch.equal(encoder._embed_masks(masks), dense)
    assert torch.equal(encoder.mask_downscaling(masks), dense)
    assert encoder._get_device() == torch.device("cpu")
    assert encoder._get_batch_size((points, labels), None, None) == 2
    assert encoder._get_batch_size(None, boxes[:1], masks) == 1
    assert encoder._get_batch_size(None, None, masks) == 2
    assert encoder._get_batch_size(None, None, None) == 1
    unit = (points + 0.5) / 64
    assert torch.equal(
        encoder.pe_layer._pe_encoding(unit), encoder.pe_layer.forward_with_coords(points + 0.5, (64, 64))
    )

    logits, scores = pocket.mask_decoder.predict_masks(
        image_embeddings=torch.randn(1, 256, 4, 4),
        image_pe=encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
    )
    assert logits.shape == (2, 4, 16, 16)
    assert scores.shape == (2, 4)


@torch.no_grad()
def test_a_prompt_encoder_can_be_overridden(pocket, monkeypatch):
    encoder = pocket.prompt_encoder
    monkeypatch.setattr(encoder, "_embed_boxes", lambda boxes: torch.full((len(boxes), 2, 256), 7.0))
    sparse, _ = encoder(None, torch.zeros(3, 4), None)
    assert torch.equal(sparse, torch.full((3, 2, 256), 7.0))
