"""What the package adds to ComfyUI's start: the import of root and nodes in a process that has torch already.

ComfyUI itself is not needed: its modules are replaced by empty ones, so only our own code is measured.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

CODE = """
import gc, importlib.machinery, importlib.util, sys, time, types
import torch, numpy, PIL.Image
class Any(type):  # classes that have every class as an attribute, so that one can also derive from them
    def __getattr__(cls, name): return Anything
class Anything(metaclass=Any):
    def __init__(self, *args, **more): pass
    def __getattr__(self, name): return Anything
class Stand:  # any module of ComfyUI's, empty
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("comfy", "folder_paths", "node_helpers", "latent_preview")):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        for name in ("ComfyExtension", "ModelSamplingDiscreteFlow", "CONST"):
            setattr(module, name, type(name, (), {}))
        module.io = type("io", (Anything,), {"ComfyNode": type("ComfyNode", (), {})})
        module.__getattr__ = lambda name: Anything
        return module
    def exec_module(self, module): pass
sys.meta_path.insert(0, Stand())
root = sys.argv[1]
spec = importlib.util.spec_from_file_location("pack", root + "/__init__.py", submodule_search_locations=[root])
gc.collect(), gc.freeze()  # a collection of torch's objects takes 0.2 s, and could fall into anybody's import
start = time.perf_counter()
module = importlib.util.module_from_spec(spec)
sys.modules["pack"] = module
spec.loader.exec_module(module)
print(time.perf_counter() - start)
"""


def run() -> None:
    runs = [
        subprocess.run([sys.executable, "-c", CODE, str(ROOT)], capture_output=True, text=True, check=True)
        for _ in range(6)
    ]
    times = [float(done.stdout) * 1e3 for done in runs[1:]]
    spread = f"{min(times):.0f}..{max(times):.0f}"
    print(f"  import of root, nodes and what they need: {statistics.median(times):.0f} ms ({spread})")
