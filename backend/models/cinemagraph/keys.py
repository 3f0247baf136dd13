# SPDX-License-Identifier: GPL-3.0-or-later
"""What the published checkpoints call each parameter of our networks, and what else they hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import nn

from backend.models.cinemagraph.hinted import HintedMotion
from backend.models.cinemagraph.sizes import TOKENS, Sizes
from backend.models.cinemagraph.text import TextTower
from backend.models.cinemagraph.told import ToldMotion
from backend.models.cinemagraph.video import Decoder, Encoder
from backend.models.files import Shape

#: Patterns and what they become, applied to a parameter's whole name one after the other.
Rules = tuple[tuple[str, str], ...]

#: Numbers of noise from which training took a norm's scale and shift; without noise they are 1, 0.
_NOISE = 20
_DOWN_NORMS = ("2_0", "4_0", "8_0", "8_1", "8_2", "8_3")
_UP_NORMS = ("8_4", "8_5", "8_6", "8_7", "4_1", "2_1", "")

_MOTION: Rules = (
    *((rf"^downs\.{i}\b", f"conv{i + 1}") for i in range(8)),
    *((rf"^ups\.{i}\b", f"dconv{i + 1}") for i in range(8)),
    *((rf"^down_norms\.{i}\b", f"spade_layer{n}") for i, n in enumerate(_DOWN_NORMS)),
    *((rf"^up_norms\.{i}\b", f"spade_layer{n}") for i, n in enumerate(_UP_NORMS)),
    (r"\.read\b", ".mlp_shared.0"),
    (r"(spade_layer\w*)\.scale\b", r"\1.mlp_gamma"),
    (r"(spade_layer\w*)\.shift\b", r"\1.mlp_beta"),
)
_LISTENER: Rules = (
    *((rf"^down_listeners\.{i}\b", f"attn_input_block_{i + 1}") for i in range(4)),
    *((rf"^up_listeners\.{i}\b", f"attn_output_block_{4 - i}") for i in range(4)),
    (r"^middle_listener\b", "attn_middle_block"),
    (r"\.enter\b", ".proj_in"),
    (r"\.leave\b", ".proj_out"),
    (r"\.norm_text\b", ".transformer_blocks.0.norm2"),
    (r"\.norm_feed\b", ".transformer_blocks.0.norm3"),
    (r"\.attention\.out\b", ".transformer_blocks.0.attn2.to_out.0"),
    (r"\.attention\.query\b", ".transformer_blocks.0.attn2.to_q"),
    (r"\.attention\.key\b", ".transformer_blocks.0.attn2.to_k"),
    (r"\.attention\.value\b", ".transformer_blocks.0.attn2.to_v"),
    (r"\.feed\.gated\b", ".transformer_blocks.0.ff.net.0.proj"),
    (r"\.feed\.out\b", ".transformer_blocks.0.ff.net.2"),
)
_NORMS: Rules = ((r"\.mean$", ".stored_mean"), (r"\.variance$", ".stored_var"))
_ENCODER: Rules = (
    (r"^blocks\b", "gblocks"),
    (r"\.norm_in\b", ".ch_a.0.bn"),
    (r"\.conv_in\b", ".ch_a.2"),
    (r"\.norm_out\b", ".ch_a.3.bn"),
    (r"\.conv_out\b", ".ch_a.5"),
    (r"\.skip\b", ".ch_b.0"),
    *_NORMS,
)
_DECODER: Rules = (
    (r"^blocks\b", "eblocks"),
    (r"\.norm_in\b", ".bn_noise1.pbn"),
    (r"\.conv_in\b", ".conv_aa"),
    (r"\.norm_out\b", ".bn_noise2.pbn"),
    (r"\.conv_out\b", ".conv_ab"),
    (r"\.skip\b", ".conv_b"),
    *_NORMS,
)
_TEXT: Rules = (
    (r"^words\b", "embeddings.token_embedding"),
    (r"^positions\b", "embeddings.position_embedding"),
    (r"^norm\b", "final_layer_norm"),
    (r"^blocks\b", "encoder.layers"),
    (r"\.norm_self\b", ".layer_norm1"),
    (r"\.norm_feed\b", ".layer_norm2"),
    (r"\.attention\.query\b", ".self_attn.q_proj"),
    (r"\.attention\.key\b", ".self_attn.k_proj"),
    (r"\.attention\.value\b", ".self_attn.v_proj"),
    (r"\.attention\.out\b", ".self_attn.out_proj"),
    (r"\.feed_in\b", ".mlp.fc1"),
    (r"\.feed_out\b", ".mlp.fc2"),
)


@dataclass(frozen=True)
class Layout:
    """How a network is made, and where its parameters lie.

    prefixes: what may stand before its names. probe: a name that only this network has.
    spectral: a pattern for our names of weights that are stored with the two vectors that norm
    them. alone: whether a file that holds the network holds nothing else.
    """

    title: str
    make: Callable[[Sizes], nn.Module]
    rules: Rules
    probe: str
    prefixes: tuple[str, ...] = ("",)
    spectral: str = "$^"
    alone: bool = True


#: The networks by name.
NETWORKS: Mapping[str, Layout] = {
    "hinted": Layout(
        "motion network for hints",
        lambda s: HintedMotion(s.hinted),
        _MOTION,
        "conv1.weight_orig",
        # text2cinemagraph's, then 3D-Cinemagraphy's.
        ("", "motion_predictor."),
        r"(downs|ups)\.\d\.weight$",
    ),
    "told": Layout(
        "motion network for prompts",
        lambda s: ToldMotion(s.told),
        (*_MOTION, *_LISTENER),
        "attn_middle_block.norm.weight",
    ),
    "encoder": Layout(
        "video network's encoder",
        lambda s: Encoder(s.video),
        _ENCODER,
        "gblocks.0.ch_a.2.weight_orig",
        ("encoder.",),
        r"\.(conv_in|conv_out|skip)\.weight$",
    ),
    "decoder": Layout(
        "video network's decoder",
        lambda s: Decoder(s.video),
        _DECODER,
        "eblocks.0.conv_aa.weight_orig",
        ("projector.",),
        r"\.(conv_in|conv_out|skip)\.weight$",
    ),
    "text": Layout(
        "text tower",
        lambda s: TextTower(s.text),
        _TEXT,
        "embeddings.token_embedding.weight",
        ("text_model.", "cond_stage_model.transformer.text_model."),
        # A file of all of Stable Diffusion or CLIP holds it too.
        alone=False,
    ),
}


def meta(network: str, sizes: Sizes) -> nn.Module:
    """The network with shapes but no values."""
    with torch.device("meta"):
        return NETWORKS[network].make(sizes).eval().requires_grad_(False)


def public_name(name: str, network: str) -> str:
    """What a checkpoint calls our parameter `name`, without the prefix."""
    for pattern, replacement in NETWORKS[network].rules:
        name = re.sub(pattern, replacement, name)
    return name


def is_spectral(name: str, network: str) -> bool:
    """Whether our parameter `name` is stored as a weight and the two vectors that norm it."""
    return re.search(NETWORKS[network].spectral, name) is not None


def stored(network: str, sizes: Sizes, prefix: str | None = None) -> dict[str, Shape]:
    """Every name of a checkpoint that belongs to the network, used or not, with its shape."""
    prefix = NETWORKS[network].prefixes[0] if prefix is None else prefix
    found: dict[str, Shape] = {}
    for name, parameter in meta(network, sizes).named_parameters():
        public, shape = prefix + public_name(name, network), tuple(parameter.shape)
        found |= dict(_spectral(public, shape)) if is_spectral(name, network) else {public: shape}
        if public.endswith(".stored_mean"):
            found |= dict(_unused_norm(public, shape))
        if network == "decoder" and public.endswith(".conv_ab.bias"):
            found |= dict(_unused_skip(public, shape, found))
    if network == "text":
        found[prefix + "embeddings.position_ids"] = (1, TOKENS)
    return found


def optional(network: str, name: str) -> bool:
    """Whether a checkpoint may lack a name: no run needs it, and newer files leave it out."""
    return network == "text" and name.endswith("embeddings.position_ids")


def prefix_of(network: str, names: Mapping[str, Shape]) -> str | None:
    """The prefix under which the stored names hold this network, None if they do not hold it."""
    layout = NETWORKS[network]
    return next((prefix for prefix in layout.prefixes if prefix + layout.probe in names), None)


def _spectral(name: str, shape: Shape) -> Iterator[tuple[str, Shape]]:
    yield name + "_orig", shape
    yield name + "_u", shape[:1]
    yield name + "_v", (prod(shape[1:]),)


def _unused_skip(
    bias: str, shape: Shape, found: Mapping[str, Shape]
) -> Iterator[tuple[str, Shape]]:
    """Each block of the decoder has a convolution on its straight path; where neither width nor
    size changes it is passed by."""
    block = bias.removesuffix("conv_ab.bias")
    if found[block + "bn_noise1.pbn.stored_mean"] == shape:
        yield from _spectral(block + "conv_b.weight", (*shape, *shape, 1, 1))


def _unused_norm(mean: str, shape: Shape) -> Iterator[tuple[str, Shape]]:
    """What training made a norm's scale and shift from; a run has no noise, so they are 1 and 0."""
    norm = mean.removesuffix(".stored_mean")
    yield norm + ".accumulation_counter", (1,)
    around = norm.rpartition(".")[0]
    for part in ("gain", "bias"):
        yield from _spectral(f"{around}.{part}.weight", (*shape, _NOISE))
