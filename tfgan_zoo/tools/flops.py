"""Count the floating-point operations of a TensorFlow graph."""

import collections
import math
import re

POSITIONS_AND_KERNEL = {  # of convolutions: the tensor of the positions, and the kernel
    "": (lambda op: op.outputs[0], lambda op: op.inputs[1]),
    "BackpropInput": (lambda op: op.inputs[2], lambda op: op.inputs[1]),
    "BackpropFilter": (lambda op: op.inputs[2], lambda op: op.outputs[0]),
}


def flops(function):
    """Count the floating-point operations of convolutions and matrix products.

    A multiply-add counts as two, also where a kernel meets padding. Only operations that an output
    or a variable depends on are counted, because TensorFlow prunes the others. The most expensive
    branch of a conditional counts, and one iteration of a loop.

    Args:
        function: Concrete function.

    Returns:
        {operation type: count}. The count is NaN if a shape is not static.
    """
    return dict(count_in_graph(function.graph, flops_by_kind))


def flops_by_kind(op):
    """Return {operation type: count} of one operation, {} for 0."""
    kind = re.sub(r"V\d$", "", op.type)
    count = flops_of_operation(op, kind)
    return {kind: count} if count else {}


def count_in_graph(graph, count_operation, outputs=None):
    """Add up counts of the operations that a graph needs, including the functions it calls.

    Args:
        graph: Graph of a function.
        count_operation: Function of an operation that returns {name: count}.
        outputs: Indices of the outputs that are needed. None: all.

    Returns:
        `collections.Counter`.
    """
    total = collections.Counter()
    for op, used_outputs in needed_operations(graph, outputs).items():
        total.update(count_operation(op))
        inner_outputs = None if "While" in op.type else used_outputs
        counts = [
            count_in_graph(graph._get_function(name).graph, count_operation, inner_outputs)
            for name in called_functions(op)
        ]
        if op.type.endswith(("If", "Case")):
            counts = [max(counts, key=lambda count: sum(count.values()))]
        for count in counts:
            total.update(count)
    return total


def needed_operations(graph, outputs):
    """Find the operations that outputs and side effects of a graph depend on.

    Args:
        graph: Graph of a function.
        outputs: Indices of the outputs. None: all.

    Returns:
        {operation: set of the indices of its outputs that are used}.
    """
    queue = [
        (tensor.op, tensor.value_index)
        for i, tensor in enumerate(graph.outputs)
        if outputs is None or i in outputs
    ]
    queue += [(op, None) for op in graph.get_operations() if op.op_def.is_stateful]
    needed = {}
    while queue:
        op, index = queue.pop()
        if op not in needed:
            needed[op] = set()
            queue += [(tensor.op, tensor.value_index) for tensor in op.inputs]
            queue += [(control_input, None) for control_input in op.control_inputs]
        if index is not None:
            needed[op].add(index)
    return needed


def called_functions(op):
    """Return the names of the functions that an operation calls."""
    attributes = op.node_def.attr.values()
    names = [attribute.func.name for attribute in attributes if attribute.HasField("func")]
    return names + [function.name for attribute in attributes for function in attribute.list.func]


def flops_of_operation(op, kind):
    """Count one operation.

    A convolution has 2 for each position and each entry of its kernel, a matrix product 2 for each
    term of its sums, any other operation 0.
    """
    convolution = re.fullmatch(
        r"(?:Conv2D|DepthwiseConv2dNative)(|BackpropInput|BackpropFilter)", kind
    )
    if convolution:
        positions, kernel = (shape_of(get(op)) for get in POSITIONS_AND_KERNEL[convolution[1]])
        positions.pop(1 if op.get_attr("data_format") == b"NCHW" else -1)  # the channels
        return 2 * size(positions + kernel)
    if kind in ("MatMul", "BatchMatMul"):
        transposed = op.get_attr("transpose_a" if kind == "MatMul" else "adj_x")
        terms = shape_of(op.inputs[0])[-2 if transposed else -1]
        return 2 * size([*shape_of(op.outputs[0]), terms])
    return 0


def shape_of(tensor):
    return [None] * 4 if tensor.shape.rank is None else tensor.shape.as_list()


def size(shape):
    return math.nan if None in shape else math.prod(shape)
