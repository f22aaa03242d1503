"""How much arithmetic a graph is: the multiply-adds of its matrix products and convolutions."""

import math

import onnx


def multiply_adds(model: onnx.ModelProto, **lengths: int) -> int:
    """Count them for given lengths of the dynamic axes of the inputs.

    Raises KeyError where the shape of a factor does not follow from that.
    """
    counted = onnx.ModelProto()
    counted.CopyFrom(model)
    for value in counted.graph.input:
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_value = lengths[axis.dim_param]
    graph = onnx.shape_inference.infer_shapes(counted, strict_mode=True, data_prop=True).graph
    shapes = {weight.name: list(weight.dims) for weight in graph.initializer}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        axes = value.type.tensor_type.shape.dim
        if all(axis.HasField("dim_value") for axis in axes):
            shapes[value.name] = [axis.dim_value for axis in axes]
    total = 0
    for node in graph.node:
        if node.op_type in ("MatMul", "MatMulInteger"):
            total += math.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]
        elif node.op_type == "Gemm":
            transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
            total += math.prod(shapes[node.output[0]]) * shapes[node.input[0]][0 if transposed else 1]
        elif node.op_type == "Conv":
            total += math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
        elif node.op_type == "ConvTranspose":
            total += math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:])
    return total


def published_multiply_adds(side: int, tokens: int) -> int:
    """Count those of the published ONNX decoder by its paper's sizes, for a square embedding and all its tokens."""
    image, width, inner, hidden = side**2, 256, 128, 2048
    scores_and_sums = 2 * tokens * image * inner
    inward = 2 * tokens * width * inner + 2 * image * width * inner + scores_and_sums
    outward = inward
    among_tokens = 4 * tokens * width * width + 2 * tokens * tokens * width + 2 * tokens * width * hidden
    transformer = 2 * (inward + outward + among_tokens) + inward
    upscaling = image * width * 64 * 4 + 4 * image * 64 * 32 * 4 + 16 * image * 32 * 4
    heads = 4 * (2 * width * width + width * 32) + 2 * width * width + width * 4
    mask_branch = 4 * image * 4 * 4 + image * 16 * 4 * 4 + image * 16 * width
    points = (tokens - 5) * 2 * inner
    return transformer + upscaling + heads + mask_branch + points
