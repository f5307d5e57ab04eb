"""The ComfyUI nodes: thin classes around qil_core, one file a stage of the work."""
