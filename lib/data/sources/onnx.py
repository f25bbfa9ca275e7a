"""A BertModel out of an ONNX file whose linear weights have lost their names (e5-small's).

The exporter kept the names of embeddings, LayerNorms and biases. Each linear layer is a MatMul by an anonymous matrix
followed by the addition of a named bias, so the bias says which layer the matrix, transposed, belongs to.
"""

from pathlib import Path

import numpy as np

from lib.data.sources.unavailable import Unavailable


def bert_from_onnx(path: Path, layers: int, heads: int):
    """The BertModel whose forward pass the ONNX file holds. Needs the optional extra `onnx`.

    Raises Unavailable without the extra, ValueError if a weight is missing or left over.
    """
    try:
        import onnx
        from onnx.numpy_helper import to_array
    except ImportError:
        raise Unavailable(
            "e5-small must be converted once, which needs: pip install -e '.[onnx]'"
        ) from None
    import torch
    from transformers import BertConfig, BertModel

    graph = onnx.load(path).graph
    initial = {tensor.name: to_array(tensor) for tensor in graph.initializer}
    parts = ("embeddings.", "encoder.", "pooler.")
    weights = {name: array for name, array in initial.items() if name.startswith(parts)}
    weights.pop("embeddings.position_ids", None)
    readers: dict[str, list] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in initial:
            for reader in readers[node.output[0]]:
                for bias in reader.input:
                    if reader.op_type == "Add" and bias in weights:
                        weights[bias.removesuffix("bias") + "weight"] = initial[node.input[1]].T
    width = weights["embeddings.word_embeddings.weight"].shape
    config = BertConfig(
        vocab_size=width[0],
        hidden_size=width[1],
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=len(weights["encoder.layer.0.intermediate.dense.bias"]),
        max_position_embeddings=len(weights["embeddings.position_embeddings.weight"]),
        type_vocab_size=len(weights["embeddings.token_type_embeddings.weight"]),
    )
    model = BertModel(config)
    weights.setdefault(
        "pooler.dense.bias", np.zeros(width[1], np.float32)
    )  # a zero bias is left out by the exporter
    tensors = {name: torch.tensor(array) for name, array in weights.items()}
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    if missing or unexpected:
        raise ValueError(
            f"{path.name} is not the BERT expected: {(missing + unexpected)[0]} is missing or left over"
        )
    return model.eval()
