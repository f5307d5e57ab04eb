"""The runtime of Qwen-Image-Layered and -Edit: diffusers' modules and numbers, less memory and less waiting."""
