"""The Qwen-Image-Layered runtime: diffusers' modules and numbers, less memory and less waiting."""
