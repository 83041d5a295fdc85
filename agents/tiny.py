"""The embedded model: a Qwen2.5-VL of about half a million parameters, made from its real `transformers` classes.

`build_tiny` makes the architecture from nothing but a seed, `build_tokenizer` and `build_image_processor` what belongs
to it; the recipe `pretrain_tiny` trains it; `TINY_FOLDER` holds the result that is shipped with the package. It is an
ordinary model folder: `transformers` alone loads it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import AddedToken, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

TINY_FOLDER = Path(__file__).parent / "weights" / "tiny"

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
TAG_TOKENS = ("<think>", "</think>", "<answer>", "</answer>")

# Whole words of the small environments: one token each, so that prompts and replies stay short.
WORDS = (
    "user assistant system Triangle Isosceles Rectangle Perimeter Third Read Your Up Down Left Right me box goal"
).split()
SPACED_WORDS = "with sides legs base angles angle numbers move box goal Perimeter Third the and is not a".split()

CHAT_TEMPLATE = """{%- for message in messages -%}
<|im_start|>{{ message['role'] }}
{% if message['content'] is string -%}{{ message['content'] }}
{%- else -%}{%- for part in message['content'] -%}
{%- if part['type'] == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>
{%- elif part['type'] == 'text' -%}{{ part['text'] }}
{%- endif -%}{%- endfor -%}{%- endif -%}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}"""


def build_tokenizer() -> Qwen2Tokenizer:
    """A byte-level BPE `Qwen2Tokenizer`: 256 bytes, the words of the small environments, the special and tag tokens.

    Any text can be written in it; digits are always single tokens (Qwen's own pre-tokenizer splits them).
    """
    vocabulary: dict[str, int] = {symbol: index for index, symbol in enumerate(sorted(ByteLevel.alphabet()))}
    merges: list[tuple[str, str]] = []
    for word in [*WORDS, *("\u0120" + word for word in SPACED_WORDS)]:  # U+0120 is how byte-level BPE writes a space
        _add_word(word, vocabulary, merges)
    # The annotation there says `list[str]`; the pairs go to `BPE` as they are.
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=merges,  # pyright: ignore[reportArgumentType]
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    )
    tokenizer.add_special_tokens(
        {"additional_special_tokens": [AddedToken(token, normalized=False, special=True) for token in SPECIAL_TOKENS]}
    )
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in TAG_TOKENS])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _add_word(word: str, vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> None:
    """Add the merges that join `word` from the pieces that the merges so far leave it in."""
    while True:
        pieces = [token.value for token in BPE(vocab=vocabulary, merges=merges).tokenize(word)]
        if len(pieces) == 1:
            return
        merges.append((pieces[0], pieces[1]))
        vocabulary.setdefault(pieces[0] + pieces[1], len(vocabulary))


def build_image_processor() -> Qwen2VLImageProcessorPil:
    """Qwen2-VL's image processor, for small pictures: sides of 28 to 280 px, mean and deviation 0.5 (mid-gray is 0)."""
    return Qwen2VLImageProcessorPil(
        size={"shortest_edge": 28 * 28, "longest_edge": 280 * 280}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )


def build_tiny(
    seed: int, tokenizer: Qwen2Tokenizer | None = None, heads: int = 4
) -> Qwen2_5_VLForConditionalGeneration:
    """The architecture with random weights drawn from `seed`; float32, about 0.5 million parameters.

    `heads` share the hidden size, so that their number changes no weight's shape.
    """
    tokenizer = tokenizer or build_tokenizer()
    hidden = 96
    rotary_half = hidden // heads // 2
    ids = tokenizer.get_vocab()
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": -(-len(tokenizer) // 16) * 16,
            "hidden_size": hidden,
            "intermediate_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": heads,
            "num_key_value_heads": heads,
            "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [rotary_half - 2 * (rotary_half // 3), rotary_half // 3, rotary_half // 3],
            },
            "rms_norm_eps": 1e-6,
            "initializer_range": 0.04,
            "bos_token_id": ids["<|endoftext|>"],
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config={
            "depth": 1,
            "hidden_size": 64,
            "num_heads": 4,
            "intermediate_size": 128,
            "out_hidden_size": hidden,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 280,
            "fullatt_block_indexes": [0],
            "initializer_range": 0.04,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    # The generator that transformers initialises from is torch's global one: it is put back as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = ids["<|im_end|>"]
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    return model.eval()
