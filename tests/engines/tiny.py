"""A real encoder so small that it compiles in a blink: two layers of width 64, random weights, own tokenizer."""

import json
from pathlib import Path

WORDS = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "the", "card", "pin", "flight", "book", "play", "song"),
    *("lost", "new", "my", "is", "how", "do", "i", "reset", "on", "to"),
)


def hugging_face_folder(folder: Path, seed: int = 0) -> Path:
    """A BERT-like folder as Hugging Face lays it out."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.WordPiece({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    width, inner, positions = 64, 128, 64
    config = {
        "model_type": "bert",
        "vocab_size": len(WORDS),
        "hidden_size": width,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": inner,
        "max_position_embeddings": positions,
        "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
    }
    (folder / "config.json").write_text(json.dumps(config))
    torch.manual_seed(seed)

    def norm(name: str) -> dict[str, torch.Tensor]:
        return {f"{name}.weight": torch.ones(width), f"{name}.bias": torch.zeros(width)}

    def linear(name: str, into: int, out: int) -> dict[str, torch.Tensor]:
        return {f"{name}.weight": torch.randn(out, into) * 0.2, f"{name}.bias": torch.randn(out) * 0.1}

    weights = {
        "embeddings.word_embeddings.weight": torch.randn(len(WORDS), width),
        "embeddings.position_embeddings.weight": torch.randn(positions, width) * 0.1,
        "embeddings.token_type_embeddings.weight": torch.randn(2, width) * 0.1,
        **norm("embeddings.LayerNorm"),
    }
    for index in range(2):
        at = f"encoder.layer.{index}"
        for name in (
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
        ):
            weights |= linear(f"{at}.{name}", width, width)
        weights |= linear(f"{at}.intermediate.dense", width, inner) | linear(
            f"{at}.output.dense", inner, width
        )
        weights |= norm(f"{at}.attention.output.LayerNorm") | norm(f"{at}.output.LayerNorm")
    save_file(weights, folder / "model.safetensors")
    return folder


def engine_folder(folder: Path, rank: int = 0) -> Path:
    """The same, exported for the engine."""
    from trimtab.learning.encoder import load_encoder
    from trimtab.learning.export import to_graph, write_encoder

    source = hugging_face_folder(folder / "source")
    encoder = load_encoder(source)
    tokenizer = source / "tokenizer.json"
    write_encoder(
        to_graph(encoder, rank),
        folder / "engine",
        encoder,
        tokenizer,
        precision="fp32",
        max_tokens=48,
        rank=rank,
    )
    return folder / "engine"
