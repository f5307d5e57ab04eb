"""What 1, 8 and 100 GPUs do an hour, and what it costs: docs/capacity.md is `page(MEASURED, ASSUMED)`.

`run` measures the costs anew on this machine (processor seconds of one thread, which other programs do not change much)
and prints them beside those of the page. The model's work is arithmetic: see `passes`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from qil_core.batch.results import write_results
from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.run import decompose
from qil_core.exact import make_exact
from qil_core.example import draw_poster
from qil_core.files.picture import load_picture
from qil_core.files.registry import FORMATS
from qil_core.restore import restore
from qil_core.stack import LayerStack, quantized

PAGE = Path(__file__).parent.parent / "docs" / "capacity.md"

STREAM = 6.8e9
"""Weights that each token of the picture passes in the transformer's 60 blocks, and as many each token of text: 13.6 GB
in bf16 of each stream (docs/model.md)."""

BLOCKS, WIDTH = 60, 24 * 128
"""The transformer's blocks, and the channels of their attention: 24 heads of 128."""

TOKEN_PX = 16
TEXT_TOKENS = 300
STEPS, PASSES = 50, 2
"""Of a call as it is recommended: 50 steps, each with and without the prompt (classifier-free guidance)."""

ENCODER_BYTES = 16.6e9
"""The text encoder in bf16: each token of a caption reads all of it."""

FLEETS = (1, 8, 100)


@dataclass(frozen=True)
class Costs:
    """Measured: seconds of one core. a_mp: of each megapixel of the picture; a_layer_mp: and of each of its layers.

    builtin_a_mp has the whole built-in decomposition of 4 layers. bytes_a_layer_mp: PNG and PowerPoint together.
    driver_a_picture: processor seconds of the process that leads a Ray run (benchmarks/batch_cluster.py).
    """

    decode_a_mp: float
    builtin_a_mp: float
    restore_a_layer_mp: float
    encode_a_layer_mp: float
    bytes_a_layer_mp: float
    driver_a_picture: float


@dataclass(frozen=True)
class Gpu:
    """Assumed. flops: dense bf16 operations a second, and bytes_s of memory bandwidth, as the maker says; price: USD an
    hour, rented."""

    name: str
    flops: float
    bytes_s: float
    price: float


@dataclass(frozen=True)
class Assumed:
    """use: share of the GPU's operations a second that the model reaches. reads: of its bandwidth, for captions.

    api: USD a picture of the editing API.
    """

    gpus: Sequence[Gpu]
    use: float = 0.4
    reads: float = 0.6
    caption_tokens: int = 150
    api: float = 0.03


ASSUMED = Assumed(
    (
        Gpu("H100 SXM", 989e12, 3.35e12, 2.5),
        Gpu("A100 80 GB", 312e12, 2.0e12, 1.5),
        Gpu("L40S 48 GB", 362e12, 0.86e12, 1.0),
    )
)

MEASURED = Costs(
    decode_a_mp=0.020,
    builtin_a_mp=4.1,
    restore_a_layer_mp=0.55,
    encode_a_layer_mp=0.15,
    bytes_a_layer_mp=1.08e6,
    driver_a_picture=0.03,
)


def passes(resolution: int, layers: int) -> float:
    """Operations of one pass through the transformer.

    2 for each weight and token, and 4 for each channel and pair of tokens in attention. Tokens are of the condition, of
    the whole picture, which the model makes too, and of the layers.
    """
    image = (resolution // TOKEN_PX) ** 2 * (layers + 2)
    tokens = image + TEXT_TOKENS
    return 2 * STREAM * (image + TEXT_TOKENS) + 4 * BLOCKS * WIDTH * tokens**2


def gpu_seconds(gpu: Gpu, assumed: Assumed, resolution: int = 640, layers: int = 4) -> float:
    """Seconds of a GPU for a picture: its caption and the steps. The VAE is not in it."""
    caption = assumed.caption_tokens * ENCODER_BYTES / (gpu.bytes_s * assumed.reads)
    return caption + STEPS * PASSES * passes(resolution, layers) / (gpu.flops * assumed.use)


def page(costs: Costs, assumed: Assumed) -> str:
    """docs/capacity.md."""
    published = 20 * PASSES * passes(640, 4) / 40  # operations a second: 20 steps took 40 s
    tables = {
        "costs": _table(("measured", "value"), [(name, f"{value:.3g}") for name, value in asdict(costs).items()]),
        "fleets": _fleets(costs, assumed),
        "beside": _beside(costs, assumed),
        "layers": _layers(assumed),
        "sizes": _sizes(costs, assumed),
        "prices": _prices(costs, assumed),
        "builtin": _builtin(costs),
    }
    values = {
        "use": f"{assumed.use:.0%}",
        "reads": f"{assumed.reads:.0%}",
        "caption": str(assumed.caption_tokens),
        "api": f"{assumed.api:g}",
        "small": f"{passes(640, 4) / 1e12:.0f}",
        "large": f"{passes(1024, 4) / 1e12:.0f}",
        "small_all": f"{STEPS * PASSES * passes(640, 4) / 1e15:.1f}",
        "large_all": f"{STEPS * PASSES * passes(1024, 4) / 1e15:.1f}",
        "published": f"{published / 1e12:.0f}",
        "of_first": f"{published / assumed.gpus[0].flops:.0%}",
        "of_second": f"{published / assumed.gpus[1].flops:.0%}",
        "caption_s": f"{assumed.caption_tokens * ENCODER_BYTES / (assumed.gpus[0].bytes_s * assumed.reads):.1f}",
        "even_mp": f"{gpu_seconds(assumed.gpus[0], assumed) / _serial(costs, 1, 4):.0f}",
        "driver": f"{costs.driver_a_picture * 1e3:.0f}",
        "fastest": f"{1 / costs.driver_a_picture:.0f}",
        "most_gpus": f"{gpu_seconds(assumed.gpus[0], assumed) / costs.driver_a_picture:,.0f}".replace(",", " "),
    }
    return TEXT.format(**tables, **values)


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *lines])


def _serial(costs: Costs, megapixels: float, layers: int) -> float:
    """Seconds in which a worker's GPU waits: layers are brought to the picture's size and made exact."""
    return costs.restore_a_layer_mp * megapixels * layers


def _an_hour(seconds: float, count: int = 1) -> str:
    return f"{round(3600 * count / seconds):,}".replace(",", " ")


def _fleets(costs: Costs, assumed: Assumed) -> str:
    lines = []
    for gpu in assumed.gpus:
        for resolution in (640, 1024):
            on_gpu, waits = gpu_seconds(gpu, assumed, resolution), _serial(costs, 1, 4)
            rates = [_an_hour(on_gpu + waits, count) for count in FLEETS]
            lines.append((gpu.name, str(resolution), f"{on_gpu:.0f} s + {waits:.1f} s", *rates))
    head = ("GPU", "resolution", "a picture", *(f"{count} GPU{'s' * (count > 1)}, an hour" for count in FLEETS))
    return _table(head, lines)


def _beside(costs: Costs, assumed: Assumed) -> str:
    """What 1, 8 and 100 GPUs need beside them."""
    took = gpu_seconds(assumed.gpus[0], assumed) + _serial(costs, 1, 4)
    cores = costs.decode_a_mp + costs.encode_a_layer_mp * 4
    lines = []
    for count in FLEETS:
        rate = count / took
        through = rate * (4 * 1e6 * (1 + 4))
        lines.append(
            (
                str(count),
                f"{rate:.2g}",
                f"{rate * cores:.2g}",
                f"{rate * costs.bytes_a_layer_mp * 4 / 1e6:.2g} MB/s",
                f"{through / 1e6:.2g} MB/s",
                f"{rate * costs.driver_a_picture:.1%}",
            )
        )
    return _table(("GPUs", "pictures a second", "cores, to read and write", "disk", "network", "driver"), lines)


def _layers(assumed: Assumed) -> str:
    gpu = assumed.gpus[0]
    counts = (2, 4, 6, 8, 10)
    lines = [
        (str(resolution), *(f"{gpu_seconds(gpu, assumed, resolution, count):.0f} s" for count in counts))
        for resolution in (640, 1024)
    ]
    return _table(("resolution", *(f"{count} layers" for count in counts)), lines)


def _sizes(costs: Costs, assumed: Assumed) -> str:
    gpu = gpu_seconds(assumed.gpus[0], assumed)
    lines = []
    for size in (1, 4, 16, 36):
        waits, writes = _serial(costs, size, 4), size * (costs.decode_a_mp + 4 * costs.encode_a_layer_mp)
        share = gpu / (gpu + waits)
        stored = f"{4 * size * costs.bytes_a_layer_mp / 1e6:.0f} MB"
        lines.append((f"{size} MP", f"{gpu:.0f} s", f"{waits:.1f} s", f"{share:.0%}", f"{writes:.1f} s", stored))
    head = ("picture", "on the GPU", "GPU waits", "GPU in use", "reading and writing, one core", "results")
    return _table(head, lines)


def _prices(costs: Costs, assumed: Assumed) -> str:
    lines = []
    for gpu in assumed.gpus:
        a_thousand = [
            1000 * gpu.price / 3600 * (gpu_seconds(gpu, assumed, resolution) + _serial(costs, 1, 4))
            for resolution in (640, 1024)
        ]
        even = assumed.api * 3600 / gpu.price
        lines.append((gpu.name, f"${gpu.price:.2f}", *(f"${price:.2f}" for price in a_thousand), f"{even:.0f} s"))
    lines.append(("API, one edit a picture", "", f"${1000 * assumed.api:.2f}", f"${1000 * assumed.api:.2f}", ""))
    return _table(("", "an hour", "1000 pictures, 640", "1000 pictures, 1024", "as dear as the API at"), lines)


def _builtin(costs: Costs) -> str:
    lines = []
    for size in (0.3, 1, 4, 16):
        took = size * (costs.decode_a_mp + costs.builtin_a_mp + 4 * costs.encode_a_layer_mp)
        lines.append((f"{size:g} MP", f"{took:.1f} s", _an_hour(took), _an_hour(took, 16)))
    return _table(("picture", "one core", "one core, an hour", "16 cores, an hour"), lines)


def run() -> None:
    """Measure, and print beside the page's; the page itself is written with `python -m benchmarks.capacity`."""
    here = asdict(measure())
    for name, value in asdict(MEASURED).items():
        print(f"  {name}: here {here[name]:.3g}, on the page {value:.3g}")


def measure(side: int = 1000) -> Costs:
    """The costs of a poster with a camera's noise, which no PNG makes small, 4 layers. The driver's is taken over."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        megapixels = side * side / 1e6
        with tempfile.TemporaryDirectory() as there:
            picture = _noisy(side)
            file = Path(there, "x.png")
            _save(picture, file)
            decode = _cpu_seconds(lambda: load_picture(file))
            stack, report = decompose(Builtin(), picture, Request(4))
            builtin = _cpu_seconds(lambda: decompose(Builtin(), picture, Request(4)))
            small = LayerStack.from_image(
                torch.nn.functional.interpolate(stack.pixels.permute(0, 3, 1, 2), (640, 640)).permute(0, 2, 3, 1)
            )
            target = torch.cat([picture, torch.ones_like(picture[..., :1])], 2)
            whole = _cpu_seconds(lambda: make_exact(restore(small, target), target))
            formats = [FORMATS["png"], FORMATS["pptx"]]
            out = Path(there, "out")
            encode = _cpu_seconds(lambda: write_results(stack, report, out, "x", formats))
            size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    finally:
        torch.set_num_threads(threads)
    each = len(stack) * megapixels
    per_mp = (decode / megapixels, builtin / megapixels)
    return Costs(*per_mp, whole / each, encode / each, size / each, MEASURED.driver_a_picture)


def _noisy(side: int) -> Tensor:
    drawn = torch.from_numpy(np.array(draw_poster(side, side))).float() / 255
    noise = torch.randn(drawn.shape, generator=torch.Generator().manual_seed(0)) * (3 / 255)
    return quantized((drawn + noise).clamp(0, 1))


def _save(picture: Tensor, file: Path) -> None:
    from qil_core.files.png import write_image

    write_image(picture, file)


def _cpu_seconds(work: Callable[[], object]) -> float:
    """Processor seconds of this process for one call, the better of two."""
    took = []
    for _ in range(2):
        started = time.process_time()
        work()
        took.append(time.process_time() - started)
    return min(took)


TEXT = """# Capacity

What `qil batch` does an hour, where it stops growing, and what it costs. `python -m benchmarks.capacity` writes this
page from `MEASURED` and `ASSUMED` in [`benchmarks/capacity.py`](../benchmarks/capacity.py): put your own figures there
and write it again. `python -m benchmarks capacity` measures the costs of your machine.

**Measured**, on 2 cores (AMD EPYC, shared machine), seconds of one core: a poster of 1 megapixel with a camera's noise,
4 layers, as PNGs and PowerPoint. `a_mp` is for each megapixel, `a_layer_mp` for each megapixel of each layer.

{costs}

**Computed**: the model's work. A pass through the transformer takes 2 operations for each token and weight that it
passes (6.8 billion), and 4 for each channel (3072), block (60) and pair of tokens. At 640 with 4 layers and 300 tokens
of text that is {small} TFLOP, at 1024 {large}. A picture takes 50 steps of 2 passes: {small_all} and {large_all} PFLOP.

**Assumed, not measured**: no GPU was at hand. The model reaches {use} of the dense bf16 speed that the GPU's maker
names. The one run that others have published, 20 steps at 640 in 40 s on a data-centre card, is {published} TFLOP a
second: {of_first} of an H100, {of_second} of an A100. A caption has {caption} tokens, each of which reads the text
encoder's 16.6 GB at {reads} of the memory's bandwidth. All weights stay on the GPU, which takes 44 GB; where they are
streamed, see [model.md](model.md), a picture takes longer. The VAE is left out.

    seconds a picture = caption + steps + wait
    caption           = caption tokens x 16.6e9 / (bandwidth x {reads})
    steps             = 100 x operations a pass / (speed x {use})
    pictures an hour  = 3600 x GPUs / seconds a picture
    price of 1000     = 1000 x price an hour / 3600 x seconds a picture

## With the model

"A picture" is the GPU's seconds and, after the plus, those in which it waits for its worker's core to bring 4 layers to
1 megapixel and make them exact.

{fleets}

## Where the bottleneck moves

For the first GPU of the table at 640, pictures of 1 megapixel, 4 layers. "Network" is what the cluster's shared memory
moves where reading, GPU and writing are on different machines: 4 bytes a pixel of the picture and of each layer.

{beside}

* **GPU**: the limit at 1 megapixel, for any number of GPUs here. Fewer steps take less in proportion, no guidance
  (`true_cfg_scale` 1) half; both change the result.
* **Captioning**: {caption_s} s of each picture; a list with a column `prompt` does without.
* **PNG encoding and disk**: they run beside the GPU, on other cores. A GPU needs a small part of one core for them at 1
  megapixel; both grow with megapixels times layers.
* **The wait**: bringing layers to the picture's size runs in the GPU's worker. From {even_mp} megapixels on it takes
  longer than the steps: see below. Two workers a GPU (`--num-gpus 0.5`) fill it, where the memory holds all twice.
* **The process that leads the run**: {driver} ms a picture (fake decomposer of fixed duration, 100 workers): {fastest}
  pictures a second at the most, {most_gpus} GPUs of the first kind. With short work, such as the built-in decomposer
  on thumbnails, that is the limit: use several runs, each with its part of the inputs.
* **Network**: only a cluster whose stages lie on different machines; within one machine it is shared memory.
* **Memory of that process**: 100 000 inputs lie in a table on the disk, so with `--engine local` it stays the same. Ray
  remembers some 2 kB of each picture itself.

## Growth

With the number of pictures everything grows in proportion, after a start of some seconds and the loading of the model,
which happens once a worker. With layers, on the first GPU (attention grows with the square):

{layers}

With megapixels the model's part stays as it is, since it sees 640 or 1024; all else grows in proportion:

{sizes}

## Prices

Of the GPU alone, rented by the hour and never idle. The API is Alibaba's Model Studio, ${api} for each picture that
`qwen-image-edit-plus` makes in Singapore: it edits pictures and gives no layers, so it is no more than a yardstick.

{prices}

## The built-in decomposer

No GPU; a worker for each core.

{builtin}
"""


if __name__ == "__main__":
    PAGE.write_text(page(MEASURED, ASSUMED), encoding="utf-8")
