"""Floating-point operations of a graph, by our own count."""

import collections
import math
import re

KERNELS = {  # of convolutions: what gives their positions, and their kernel
    "": (lambda op: op.outputs[0], lambda op: op.inputs[1]),
    "BackpropInput": (lambda op: op.inputs[2], lambda op: op.inputs[1]),
    "BackpropFilter": (lambda op: op.inputs[2], lambda op: op.outputs[0]),
}


def flops(function):
    """Floating-point operations of a concrete function's convolutions and matrix products, {kind of operation: number}.

    A multiply-add is two, also where a convolution's kernel meets padding. Only what the outputs or variables depend on is counted, since
    TensorFlow leaves out the rest. Of branches the most expensive counts, of a loop one turn. NaN: a shape is not static.
    """
    return dict(flops_of_graph(function.graph))


def flops_of_graph(graph, outputs=None):
    total = collections.Counter()
    for op, used in needed(graph, outputs).items():
        kind = re.sub(r"V\d$", "", op.type)
        if operations := flops_of(op, kind):
            total[kind] += operations
        wanted = None if "While" in kind else used
        inner = [
            flops_of_graph(graph._get_function(name).graph, wanted) for name in functions_of(op)
        ]
        if kind.endswith(("If", "Case")):
            inner = [max(inner, key=lambda found: sum(found.values()))]
        for found in inner:
            total.update(found)
    return total


def needed(graph, outputs):
    """The operations behind some outputs of a graph (None: all) and behind what has effects: {operation: its outputs that are used}."""
    queue = [
        (tensor.op, tensor.value_index)
        for i, tensor in enumerate(graph.outputs)
        if outputs is None or i in outputs
    ]
    queue += [(op, None) for op in graph.get_operations() if op.op_def.is_stateful]
    found = {}
    while queue:
        op, index = queue.pop()
        if op not in found:
            found[op] = set()
            queue += [(tensor.op, tensor.value_index) for tensor in op.inputs] + [
                (before, None) for before in op.control_inputs
            ]
        if index is not None:
            found[op].add(index)
    return found


def functions_of(op):
    """The names of the functions that an operation calls."""
    values = op.node_def.attr.values()
    return [value.func.name for value in values if value.HasField("func")] + [
        each.name for value in values for each in value.list.func
    ]


def flops_of(op, kind):
    """Of one operation: 2 for every position and entry of a convolution's kernel, or for every term of a matrix product; else 0."""
    convolution = re.fullmatch(
        r"(?:Conv2D|DepthwiseConv2dNative)(|BackpropInput|BackpropFilter)", kind
    )
    if convolution:
        positions, kernel = (dimensions(which(op)) for which in KERNELS[convolution[1]])
        positions.pop(1 if op.get_attr("data_format") == b"NCHW" else -1)  # the channels
        return 2 * size(positions + kernel)
    if kind in ("MatMul", "BatchMatMul"):
        flipped = op.get_attr("transpose_a" if kind == "MatMul" else "adj_x")
        return 2 * size(
            [*dimensions(op.outputs[0]), dimensions(op.inputs[0])[-2 if flipped else -1]]
        )
    return 0


def dimensions(tensor):
    return [None] * 4 if tensor.shape.rank is None else tensor.shape.as_list()


def size(shape):
    return math.nan if None in shape else math.prod(shape)
