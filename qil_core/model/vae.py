"""The VAE on single pictures: causal 3D convolutions become 2D ones, and frames are decoded one at a time.

A causal convolution pads time with zeros before the first frame, so for a single frame only the last time slice of
its kernel meets any pixel. The feature cache is not needed, and time convolutions never run.

Tiles give the same but for rounding: the attention in the middle, which sees everything, works at an eighth of the
size and is never cut, and all other layers see no further than a tile's margin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FrameConv(nn.Module):
    """A causal 3D convolution as it acts on one frame, (B, C, 1, H, W) to (B, C', 1, H', W')."""

    def __init__(self, conv: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(conv.weight[:, :, -1].detach().clone(), requires_grad=False)
        self.bias = conv.bias
        self._stride = conv.stride[1:]
        self._padding = (conv._padding[2], conv._padding[0])

    def forward(self, x: Tensor, cache_x: None = None) -> Tensor:
        return F.conv2d(x[:, :, 0], self.weight, self.bias, self._stride, self._padding)[:, :, None]


def for_single_frames(vae: nn.Module) -> nn.Module:
    """Change an AutoencoderKLQwenImage in place so that it takes single frames only, and give it back."""
    from diffusers.models.autoencoders.autoencoder_kl_qwenimage import QwenImageCausalConv3d

    for module in list(vae.modules()):
        for name, child in list(module.named_children()):
            if name == "time_conv":
                delattr(module, name)
            elif isinstance(child, QwenImageCausalConv3d):
                setattr(module, name, FrameConv(child))
    return vae


TILE = 32
"""Side of a tile in latents, when memory asks for tiles: with its margins half of what 640 px takes whole."""

SCALE = 8
"""Pixels to a latent."""

DECODING_MARGIN = 13
"""Latents around a tile. Per level 3 blocks of 2 convolutions and 1 more; levels halve: 6 + 7/2 + 7/4 + 8/8 = 12.25."""

ENCODING_MARGIN = 9
"""The same: 1 + 2 blocks of 2 convolutions a level, 4 * (1 + 2 + 4 + 8), and 1 + 2 + 4 for halving: 68 pixels."""


def encode(vae: Any, pixels: Tensor, tile: int | None = None) -> Tensor:
    """Normalised latents (B, z, 1, H/8, W/8) of pixels (B, 3 or 4, H, W) in [-1, 1]; tile: its side in latents."""
    encoder = vae.encoder

    def local(x: Tensor) -> Tensor:
        x = encoder.conv_in(x)
        for layer in encoder.down_blocks:
            x = layer(x)
        return x

    frames = pixels[:, :, None]
    if tile is None:
        inner = local(frames)
    else:
        inner = _in_tiles(local, frames, tile * SCALE, ENCODING_MARGIN * SCALE, (1, SCALE))
    moments = vae.quant_conv(encoder.conv_out(encoder.nonlinearity(encoder.norm_out(encoder.mid_block(inner)))))
    mean, std = _statistics(vae, moments)
    return (moments[:, : vae.config.z_dim] - mean) / std


def decode(vae: Any, latents: Tensor, each: Callable[[int], None] = lambda i: None, tile: int | None = None) -> Tensor:
    """Pixels (B, 3 or 4, H, W) in [-1, 1] of normalised latents (B, z, 1, h, w), one picture at a time.

    each(i) is called before picture i; it may raise to stop. tile: its side in latents.
    """
    mean, std = _statistics(vae, latents)
    scaled = latents / (1.0 / std) + mean  # the stock pipeline's very arithmetic
    frames = []
    for i, frame in enumerate(scaled.split(1)):
        each(i)
        frames.append(_decode(vae, frame, tile))
    return torch.cat(frames)[:, :, 0].clamp(-1, 1)


def _decode(vae: Any, frame: Tensor, tile: int | None) -> Tensor:
    decoder = vae.decoder

    def local(x: Tensor) -> Tensor:
        for block in decoder.up_blocks:
            x = block(x)
        return decoder.conv_out(decoder.nonlinearity(decoder.norm_out(x)))

    inner = decoder.mid_block(decoder.conv_in(vae.post_quant_conv(frame)))
    return local(inner) if tile is None else _in_tiles(local, inner, tile, DECODING_MARGIN, (SCALE, 1))


def _in_tiles(local: Callable[[Tensor], Tensor], x: Tensor, tile: int, margin: int, scale: tuple[int, int]) -> Tensor:
    """What local gives for x (..., H, W), from pieces: local must see no further than margin.

    scale: what local multiplies sides by, as a fraction.
    """
    up, down = scale

    def strip(along: int, x: Tensor, work: Callable[[Tensor], Tensor]) -> Tensor:
        pieces = []
        for start in range(0, x.shape[along], tile):
            first, end = max(start - margin, 0), min(start + tile, x.shape[along])
            piece = work(x.narrow(along, first, min(end + margin, x.shape[along]) - first))
            pieces.append(piece.narrow(along, (start - first) * up // down, (end - start) * up // down).clone())
        return torch.cat(pieces, along)

    return strip(-2, x, lambda rows: strip(-1, rows, local))


def _statistics(vae: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    both = (torch.tensor(values).view(1, -1, 1, 1, 1) for values in (vae.config.latents_mean, vae.config.latents_std))
    mean, std = (value.to(like.device, like.dtype) for value in both)
    return mean, std
