"""Build a BertModel from an ONNX file whose linear weights have lost their names (e5-small).

The exporter kept the names of embeddings, LayerNorms and biases. Each linear layer is a MatMul with
an unnamed matrix, followed by the addition of a named bias, so the bias tells which layer it is.
"""

from pathlib import Path

import numpy as np

from lib.data.sources.unavailable import Unavailable


def bert_from_onnx(path: Path, layers: int, heads: int):
    """Build the BertModel whose forward pass is stored in an ONNX file.

    Raises Unavailable if the optional extra `onnx` is not installed, and ValueError if a weight is
    missing or left over.
    """
    try:
        import onnx
        from onnx.numpy_helper import to_array
    except ImportError:
        raise Unavailable(
            "e5-small must be converted once; that needs: pip install -e '.[onnx]'"
        ) from None
    import torch
    from transformers import BertConfig, BertModel

    graph = onnx.load(path).graph
    constants = {tensor.name: to_array(tensor) for tensor in graph.initializer}
    prefixes = ("embeddings.", "encoder.", "pooler.")
    weights = {name: array for name, array in constants.items() if name.startswith(prefixes)}
    weights.pop("embeddings.position_ids", None)
    readers: dict[str, list] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in constants:
            for reader in readers[node.output[0]]:
                for bias in reader.input:
                    if reader.op_type == "Add" and bias in weights:
                        # PyTorch stores a linear layer's matrix transposed
                        weights[bias.removesuffix("bias") + "weight"] = constants[node.input[1]].T
    vocabulary, width = weights["embeddings.word_embeddings.weight"].shape
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=len(weights["encoder.layer.0.intermediate.dense.bias"]),
        max_position_embeddings=len(weights["embeddings.position_embeddings.weight"]),
        type_vocab_size=len(weights["embeddings.token_type_embeddings.weight"]),
    )
    model = BertModel(config)
    # the exporter leaves out a bias of zeros
    weights.setdefault("pooler.dense.bias", np.zeros(width, np.float32))
    tensors = {name: torch.tensor(array) for name, array in weights.items()}
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    if missing or unexpected:
        raise ValueError(
            f"{path.name} does not fit a BertModel of {layers} layers × {heads} heads: "
            f"the weight {(missing + unexpected)[0]} is {'missing' if missing else 'left over'}"
        )
    return model.eval()
