# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates split, unflatten and from_numpy only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""What the published checkpoints call each parameter of our networks, and what else they hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from backend.models.tooncrafter.decoder import Decoder
from backend.models.tooncrafter.encoder import Encoder
from backend.models.tooncrafter.resampler import Resampler
from backend.models.tooncrafter.sizes import TEXT_TOKENS, Sizes
from backend.models.tooncrafter.sketch import SketchEncoder
from backend.models.tooncrafter.towers import ImageTower, TextTower
from backend.models.tooncrafter.unet import UNet

Shape = tuple[int, ...]
#: Patterns and what they become, applied to a parameter's whole name one after the other.
Rules = tuple[tuple[str, str], ...]

_MLP: Rules = (
    (r"^time_embedding\.first", "time_embed.0"),
    (r"^time_embedding\.second", "time_embed.2"),
    (r"^motion_embedding\.first", "fps_embedding.0"),
    (r"^motion_embedding\.second", "fps_embedding.2"),
)
_BLOCK: Rules = (
    (r"\.frame\.norm_in\b", ".in_layers.0"),
    (r"\.frame\.conv_in\b", ".in_layers.2"),
    (r"\.frame\.embedding\b", ".emb_layers.1"),
    (r"\.frame\.norm_out\b", ".out_layers.0"),
    (r"\.frame\.conv_out\b", ".out_layers.3"),
    (r"\.frame\.skip\b", ".skip_connection"),
    # The misspelling is the checkpoint's; only the first stage has no dropout before its layer.
    (r"\.time\.0\.norm\b", ".temopral_conv.conv1.0"),
    (r"\.time\.0\.conv\b", ".temopral_conv.conv1.2"),
    *((rf"\.time\.{i}\.norm\b", f".temopral_conv.conv{i + 1}.0") for i in (1, 2, 3)),
    *((rf"\.time\.{i}\.conv\b", f".temopral_conv.conv{i + 1}.3") for i in (1, 2, 3)),
)
_TRANSFORMER: Rules = (
    (r"\.enter\b", ".proj_in"),
    (r"\.leave\b", ".proj_out"),
    (r"\.block\b", ".transformer_blocks.0"),
    (r"\.norm_self\b", ".norm1"),
    (r"\.norm_second\b", ".norm2"),
    (r"\.norm_feed\b", ".norm3"),
    (r"\.attention_self\.out\b", ".attn1.to_out.0"),
    (r"\.attention_second\.out\b", ".attn2.to_out.0"),
    (r"\.attention_self\b", ".attn1"),
    (r"\.attention_second\b", ".attn2"),
    (r"\.feed\.gated\b", ".ff.net.0.proj"),
    (r"\.feed\.out\b", ".ff.net.2"),
    (r"\.image_key\b", ".to_k_ip"),
    (r"\.image_value\b", ".to_v_ip"),
    (r"\.query\b", ".to_q"),
    (r"\.key\b", ".to_k"),
    (r"\.value\b", ".to_v"),
)
_MIDDLE: Rules = (
    (r"^middle\.before\b", "middle_block.0"),
    (r"^middle\.space\b", "middle_block.1"),
)
_UNET: Rules = (
    *_MLP,
    (r"^entry\b", "input_blocks.0.0"),
    (r"^entry_time\b", "init_attn.0"),
    (r"^exit_norm\b", "out.0"),
    (r"^exit\b", "out.2"),
    *_MIDDLE,
    (r"^middle\.time\b", "middle_block.2"),
    (r"^middle\.after\b", "middle_block.3"),
    *_BLOCK,
    *_TRANSFORMER,
)
_SKETCH: Rules = (
    *_MLP,
    (r"^entry\b", "input_blocks.0.0"),
    *((rf"^lines\.{i}\b", f"input_hint_block.{2 * i}") for i in range(8)),
    (r"^exits\.(\d+)\b", r"zero_convs.\1.0"),
    (r"^middle_exit\b", "middle_block_out.0"),
    *_MIDDLE,
    (r"^middle\.after\b", "middle_block.2"),
    *_BLOCK,
    *_TRANSFORMER,
)
_VAE: Rules = (
    (r"^middle\.before\b", "mid.block_1"),
    (r"^middle\.attention\b", "mid.attn_1"),
    (r"^middle\.after\b", "mid.block_2"),
    (r"^entry\b", "conv_in"),
    (r"^exit_norm\b", "norm_out"),
    (r"^exit\b", "conv_out"),
    (r"\.blocks\.(\d)\b", r".block.\1"),
    (r"\.norm_in\b", ".norm1"),
    (r"\.conv_in\b", ".conv1"),
    (r"\.norm_out\b", ".norm2"),
    (r"\.conv_out\b", ".conv2"),
    (r"\.skip\b", ".nin_shortcut"),
    (r"attn_1\.query\b", "attn_1.q"),
    (r"attn_1\.key\b", "attn_1.k"),
    (r"attn_1\.value\b", "attn_1.v"),
    (r"attn_1\.out\b", "attn_1.proj_out"),
)
_ENCODER: Rules = (
    (r"^quantise\b", "^quant_conv"),
    (r"^levels\b", "down"),
    (r"\.shrink\b", ".downsample.conv"),
    *_VAE,
)
_DECODER: Rules = (
    *_VAE,
    (r"^exit_time\b", "conv_out.time_mix_conv"),
    (r"^levels\b", "up"),
    (r"\.grow\b", ".upsample"),
    (r"\.frame\b", ""),
    (r"\.mix\.factor$", ".mix_factor"),
    (r"\.time_in\.norm\b", ".time_stack.in_layers.0"),
    (r"\.time_in\.conv\b", ".time_stack.in_layers.2"),
    (r"\.time_out\.norm\b", ".time_stack.out_layers.0"),
    (r"\.time_out\.conv\b", ".time_stack.out_layers.3"),
    (r"^references\b", "attn_refinement"),
    (r"\.attention\.query\b", ".to_q"),
    (r"\.attention\.key\b", ".to_k"),
    (r"\.attention\.value\b", ".to_v"),
    (r"\.attention\.out\b", ".to_out.0"),
)
_RESAMPLER: Rules = (
    (r"^enter\b", "proj_in"),
    (r"^leave\b", "proj_out"),
    (r"^norm\b", "norm_out"),
    (r"(layers\.\d+)\.norm_seen\b", r"\1.0.norm1"),
    (r"(layers\.\d+)\.norm_latents\b", r"\1.0.norm2"),
    (r"(layers\.\d+)\.query\b", r"\1.0.to_q"),
    (r"(layers\.\d+)\.key_value\b", r"\1.0.to_kv"),
    (r"(layers\.\d+)\.out\b", r"\1.0.to_out"),
    (r"(layers\.\d+)\.norm_feed\b", r"\1.1.0"),
    (r"(layers\.\d+)\.feed_in\b", r"\1.1.1"),
    (r"(layers\.\d+)\.feed_out\b", r"\1.1.3"),
)
_TOWER: Rules = (
    (r"^blocks\b", "transformer.resblocks"),
    (r"\.query_key_value\.", ".attn.in_proj_"),
    (r"\.out\b", ".attn.out_proj"),
    (r"\.norm_self\b", ".ln_1"),
    (r"\.norm_feed\b", ".ln_2"),
    (r"\.feed_in\b", ".mlp.c_fc"),
    (r"\.feed_out\b", ".mlp.c_proj"),
    (r"^positions$", "positional_embedding"),
)
_TEXT: Rules = ((r"^words\b", "token_embedding"), (r"^norm\b", "ln_final"), *_TOWER)
_IMAGE: Rules = (
    (r"^patches\b", "conv1"),
    (r"^whole$", "class_embedding"),
    (r"^norm\b", "ln_pre"),
    *_TOWER,
)


@dataclass(frozen=True)
class Layout:
    """How a network is made, and where its parameters lie.

    prefixes: what may stand before its names: first in ToonCrafter's checkpoints, then in the
    other files it can come from.
    """

    title: str
    make: Callable[[Sizes], nn.Module]
    rules: Rules
    prefixes: tuple[str, ...]


#: The networks by name, in the order in which a run needs them.
NETWORKS: Mapping[str, Layout] = {
    "text": Layout(
        "text tower", lambda s: TextTower(s.text), _TEXT, ("cond_stage_model.model.", "")
    ),
    "image": Layout(
        "image tower",
        lambda s: ImageTower(s.image),
        _IMAGE,
        ("embedder.model.visual.", "visual."),
    ),
    "resampler": Layout(
        "resampler", lambda s: Resampler(s.resampler), _RESAMPLER, ("image_proj_model.",)
    ),
    "encoder": Layout(
        "picture encoder", lambda s: Encoder(s.vae), _ENCODER, ("first_stage_model.encoder.",)
    ),
    "sketch": Layout("sketch encoder", lambda s: SketchEncoder(s.sketch), _SKETCH, ("",)),
    "unet": Layout("U-Net", lambda s: UNet(s.unet), _UNET, ("model.diffusion_model.",)),
    "decoder": Layout(
        "video decoder", lambda s: Decoder(s.vae), _DECODER, ("first_stage_model.decoder.",)
    ),
}
#: Without these there is nothing to load; the towers may come from another file.
NEEDED = ("resampler", "encoder", "unet", "decoder")


def meta(network: str, sizes: Sizes) -> nn.Module:
    """The network with shapes but no values."""
    with torch.device("meta"):
        return NETWORKS[network].make(sizes).eval().requires_grad_(False)


@cache
def counts(sizes: Sizes) -> Mapping[str, int]:
    """How many parameters each network has."""
    return {name: sum(p.numel() for p in meta(name, sizes).parameters()) for name in NETWORKS}


def public_name(name: str, network: str, module: nn.Module) -> str:
    """What a checkpoint calls our parameter `name`, without the prefix."""
    name = _stage_name(name, module)
    for pattern, replacement in NETWORKS[network].rules:
        name = re.sub(pattern, replacement, name)
    return name


def _stage_name(name: str, module: nn.Module) -> str:
    """The checkpoint numbers the parts that a stage really has."""
    found = re.match(r"(down|up)\.(\d+)\.(\w+)(.*)", name)
    if found is None:
        return name
    side, index, part, rest = found.groups()
    stage = module.get_submodule(f"{side}.{index}")
    parts = [p for p in ("residual", "space", "time", "resize") if getattr(stage, p) is not None]
    place = f"{parts.index(part)}{'.op' if part == 'resize' and side == 'down' else ''}"
    if side == "down":
        return f"input_blocks.{int(index) + 1}.{place}{rest}"
    return f"output_blocks.{index}.{place}{rest}"


def public_names(network: str, module: nn.Module, prefix: str) -> dict[str, str]:
    """Every parameter of ours with its full name in a checkpoint that uses this prefix."""
    names = {name: public_name(name, network, module) for name, _ in module.named_parameters()}
    # The encoder's last convolution is stored beside it, not in it.
    outside = prefix.removesuffix("encoder.")
    return {
        ours: outside + name[1:] if name.startswith("^") else prefix + name
        for ours, name in names.items()
    }


def prefix_of(network: str, stored: Mapping[str, Shape]) -> str | None:
    """The prefix under which the stored names hold this network, None if they do not hold it."""
    probe = _PROBES[network]
    prefixes = NETWORKS[network].prefixes
    return next((prefix for prefix in prefixes if prefix + probe in stored), None)


_PROBES = {
    "text": "token_embedding.weight",
    "image": "class_embedding",
    "resampler": "latents",
    "encoder": "conv_in.weight",
    "sketch": "input_hint_block.0.weight",
    "unet": "input_blocks.0.0.weight",
    "decoder": "conv_in.weight",
}


def unused(sizes: Sizes) -> Iterator[tuple[str, Shape]]:
    """What checkpoints hold beside our parameters, with its shape: no run needs it."""
    for name in _BUFFERS:
        yield name, (1000,)
    yield "scale_arr", (1400,)
    yield "first_stage_model.post_quant_conv.weight", (4, 4, 1, 1)
    yield "first_stage_model.post_quant_conv.bias", (4,)
    for prefix in ("cond_stage_model.model.", "embedder.model.", ""):
        yield from _unused_tower(prefix, sizes)


def _unused_tower(prefix: str, sizes: Sizes) -> Iterator[tuple[str, Shape]]:
    """The last text block, both projections, and the text parts that the image tower dragged in."""
    text, image = sizes.text.width, sizes.image.width
    yield prefix + "logit_scale", ()
    yield prefix + "text_projection", (text, text)
    yield prefix + "positional_embedding", (TEXT_TOKENS, text)
    yield prefix + "token_embedding.weight", (sizes.text.vocabulary, text)
    yield prefix + "ln_final.weight", (text,)
    yield prefix + "ln_final.bias", (text,)
    yield prefix + "visual.proj", (image, text)
    yield prefix + "visual.ln_post.weight", (image,)
    yield prefix + "visual.ln_post.bias", (image,)
    last = f"{prefix}transformer.resblocks.{sizes.text.stored - 1}."
    shapes: dict[str, Shape] = {
        "ln_1.weight": (text,),
        "ln_1.bias": (text,),
        "attn.in_proj_weight": (3 * text, text),
        "attn.in_proj_bias": (3 * text,),
        "attn.out_proj.weight": (text, text),
        "attn.out_proj.bias": (text,),
        "ln_2.weight": (text,),
        "ln_2.bias": (text,),
        "mlp.c_fc.weight": (4 * text, text),
        "mlp.c_fc.bias": (4 * text,),
        "mlp.c_proj.weight": (text, 4 * text),
        "mlp.c_proj.bias": (text,),
    }
    yield from ((last + name, shape) for name, shape in shapes.items())


_BUFFERS = (
    "betas",
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
)
