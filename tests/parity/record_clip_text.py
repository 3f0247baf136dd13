# SPDX-License-Identifier: GPL-3.0-or-later
"""Records what Hugging Face's CLIP text tower makes of the recipe's weights, narrow.

    python -m tests.parity.record_clip_text

Once, by hand, where `transformers` is installed (4.49.0 was); tests only read what it recorded.
"""

from __future__ import annotations

import torch
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel  # pyright: ignore

from tests.parity.test_cinemagraph_weights import RECORDED, SMALL_TEXT, SMALL_TOKENS, small_text


def main() -> None:
    config = CLIPTextConfig(
        vocab_size=SMALL_TEXT.vocabulary,
        hidden_size=SMALL_TEXT.width,
        intermediate_size=4 * SMALL_TEXT.width,
        num_hidden_layers=SMALL_TEXT.depth,
        num_attention_heads=SMALL_TEXT.heads,
    )
    model = CLIPTextModel(config).eval()
    weights = {k: v for k, v in small_text().items() if not k.endswith("position_ids")}
    model.load_state_dict(weights, strict=True)
    with torch.no_grad():
        answer = model(torch.tensor([SMALL_TOKENS])).last_hidden_state
    save_file({"out": answer.contiguous()}, RECORDED)


if __name__ == "__main__":
    main()
