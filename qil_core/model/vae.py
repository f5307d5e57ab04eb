"""The VAE on single pictures: causal 3D convolutions become 2D ones, and frames are decoded one at a time.

A causal convolution pads time with zeros before the first frame, so for a single frame only the last time slice of
its kernel meets any pixel. Nothing is left of the feature cache, and time convolutions never run.
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


def encode(vae: Any, pixels: Tensor) -> Tensor:
    """Normalised latents (B, z, 1, H/8, W/8) of RGBA pixels (B, 4, H, W) in [-1, 1]."""
    moments = vae.quant_conv(vae.encoder(pixels[:, :, None]))
    mean, std = _statistics(vae, moments)
    return (moments[:, : vae.config.z_dim] - mean) / std


def decode(vae: Any, latents: Tensor, each: Callable[[int], None] = lambda i: None) -> Tensor:
    """RGBA pixels (B, 4, H, W) in [-1, 1] of normalised latents (B, z, 1, h, w), one picture at a time.

    each(i) is called before picture i; it may raise to stop.
    """
    mean, std = _statistics(vae, latents)
    scaled = latents / (1.0 / std) + mean  # the stock pipeline's very arithmetic
    frames = []
    for i, frame in enumerate(scaled.split(1)):
        each(i)
        frames.append(vae.decoder(vae.post_quant_conv(frame)))
    return torch.cat(frames)[:, :, 0].clamp(-1, 1)


def _statistics(vae: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    both = (torch.tensor(values).view(1, -1, 1, 1, 1) for values in (vae.config.latents_mean, vae.config.latents_std))
    mean, std = (value.to(like.device, like.dtype) for value in both)
    return mean, std
