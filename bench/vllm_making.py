"""Run by the Python that has vLLM: makes a tiny model of random weights and two LoRA adapters for it, from nothing.

`python vllm_making.py FOLDER [HIDDEN LAYERS]` writes FOLDER/tiny, FOLDER/lora-a and FOLDER/lora-b: a Llama, a
byte-level tokenizer trained on a few lines, adapters of random weights large enough to change what is said.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LINES = [
    "the quick brown fox jumps over the lazy dog",
    "search the docs for a socket",
    "user assistant system",
]
HIDDEN, LAYERS = (int(size) for size in sys.argv[2:4] or (128, 2))
HEAD, RANK = 32, 8
HEADS, INNER = HIDDEN // HEAD, 2 * HIDDEN
MODULES = {
    "self_attn.q_proj": (HIDDEN, HEADS * HEAD),
    "self_attn.o_proj": (HEADS * HEAD, HIDDEN),
    "mlp.up_proj": (HIDDEN, INNER),
    "mlp.down_proj": (INNER, HIDDEN),
}


def make_model(folder: Path) -> None:
    """The model and its tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=512, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(LINES * 4, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        model_max_length=2048,
    )
    fast.chat_template = CHAT
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=HEAD,
        max_position_embeddings=2048,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)


def make_adapter(folder: Path, seed: int) -> None:
    """One adapter."""
    folder.mkdir()
    torch.manual_seed(seed)
    tensors = {}
    for layer in range(LAYERS):
        for module, (into, out) in MODULES.items():
            name = f"base_model.model.model.layers.{layer}.{module}"
            tensors[f"{name}.lora_A.weight"] = torch.randn(RANK, into) * 0.3
            tensors[f"{name}.lora_B.weight"] = torch.randn(out, RANK) * 0.3
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": 4 * RANK,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": [module.split(".")[1] for module in MODULES],
        "base_model_name_or_path": "tiny",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")


if __name__ == "__main__":
    root = Path(sys.argv[1])
    make_model(root / "tiny")
    make_adapter(root / "lora-a", 1)
    make_adapter(root / "lora-b", 2)
