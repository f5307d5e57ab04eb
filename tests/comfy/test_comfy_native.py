"""Native Layered Model in a real ComfyUI: against core's own graph, against our diffusers path, and its errors.

Weights are tiny and random (see tiny_native.py), so layers are noise; the numbers and their order are what is tested.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import comfy_server
import numpy as np
import pytest
import tiny_native
import torch
import websocket
from comfy_client import Client, Graph
from comfy_graphs import node, saving
from comfy_pictures import over, put_pictures, read
from comfy_server import Server, ServerError, running
from finder import Checkout
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

pytest.importorskip("diffusers", reason="the tiny weights are made with it")

SIDE, LAYERS, STEPS, CFG, SEED = 160, 2, 4, 2.5, 5
TOKENS = (SIDE // 16) ** 2
AUTHORS_SHIFT = (TOKENS / 256) ** 0.5
PROMPT, NEGATIVE = "a girl in front of a house", " "
TOLERANCE = 1e-5
"""Float32 rounding of two implementations; measured: 2e-7 encoding, 1.5e-6 sampled latents (up to 5), 1e-6 layers."""
SHOWS = 100 * TOLERANCE
"""What a mistake moves the numbers by, at least: it would be seen."""


@pytest.fixture(scope="module")
def server(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the tiny models' loaders, beside the other tests' one."""
    base = tmp_path_factory.mktemp("native") / "base"
    with pytest.MonkeyPatch.context() as patch:
        make = comfy_server.make_base
        patch.setattr(comfy_server, "make_base", lambda folder: (make(folder), _add_tiny(folder)))
        try:
            with running(checkout, base) as started:
                yield started
        except ServerError as error:
            pytest.fail(str(error), pytrace=False)


def _add_tiny(base: Any) -> None:
    (base / "custom_nodes" / "tiny_native.py").symlink_to(tiny_native.__file__)
    tiny_native.build(base / "models")
    put_pictures(base / "input")
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE // 8, SIDE // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    Image.fromarray(pixels).save(base / "input" / "square.png")


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return Client(server.address)


def loaders(model: str = tiny_native.LAYERED, vae: str = tiny_native.RGBA_VAE) -> Graph:
    return {
        "unet": node("TinyDiffusionModel", name=model),
        "clip": node("TinyTextEncoder", key="qwen25_7b", width=tiny_native.WIDTH),
        "vae": node("VAELoader", vae_name=vae),
    }


def native(picture: str, shift: float = 1.0, steps: int = STEPS, **files: str) -> Graph:
    """Node "native" is ours, "small" sees few pixels."""
    models = {"model": ["unet", 0], "clip": ["clip", 0], "vae": ["vae", 0]}
    sampling = {"steps": steps, "cfg": CFG, "sampler": "euler", "scheduler": "simple", "shift": shift}
    texts = {"prompt": PROMPT, "negative_prompt": NEGATIVE}
    return loaders(**files) | {
        "picture": node("LoadImage", image=picture),
        "native": node("NativeLayeredModel", resolution="640", **models, **sampling, **texts),
        "small": node("SmallBucket", model=["native", 0], resolution=SIDE),
    }


def taking_apart(graph: Graph, layers: int = LAYERS, model: str = "small") -> Graph:
    """Node "apart" is Decompose to Layers."""
    apart = node("DecomposeToLayers", model=[model, 0], image=["picture", 0], layers=layers, seed=SEED)
    return {**graph, "apart": apart, "see": node("PreviewAny", source=["apart", 3])}


def template(shift: float) -> Graph:
    """Core's own layered graph on the same models, after the scaling; nodes "ksampler" and "frames"."""
    words = {"prompt": PROMPT, "negative": NEGATIVE}
    texts = {key: node("CLIPTextEncode", clip=["clip", 0], text=text) for key, text in words.items()}
    refer = {f"{key}_ref": node("ReferenceLatent", conditioning=[key, 0], latent=["encoded", 0]) for key in words}
    size = {"width": SIDE, "height": SIDE, "layers": LAYERS, "batch_size": 1}
    numbers = {"seed": SEED, "steps": STEPS, "cfg": CFG, "denoise": 1.0}
    given = {"positive": ["prompt_ref", 0], "negative": ["negative_ref", 0], "latent_image": ["empty", 0]}
    shifted = {"model": ["shifted", 0], "sampler_name": "euler", "scheduler": "simple"}
    return texts | refer | {
        "encoded": node("VAEEncode", pixels=["picture", 0], vae=["vae", 0]),
        "empty": node("EmptyQwenImageLayeredLatentImage", **size),
        "shifted": node("ModelSamplingAuraFlow", model=["unet", 0], shift=shift),
        "ksampler": node("KSampler", **numbers, **given, **shifted),
        "cut": node("LatentCutToBatch", samples=["ksampler", 0], dim="t", slice_size=1),
        "frames": node("VAEDecode", samples=["cut", 0], vae=["vae", 0]),
    }  # fmt: skip


def both_ways(server: Server, client: Client, shift: float, change: Graph | None = None) -> dict[str, Tensor]:
    """Tensors of one run: "layers" of our node; core's "reference" and sampled "latents", and its "frames".

    change: nodes of the graph that are others.
    """
    graph = native("square.png", shift) | template(shift) | (change or {})
    graph["taken"] = node("TakeApart", model=["small", 0], image=["picture", 0], layers=LAYERS, seed=SEED)
    kept = {"layers": ("image", "taken"), "frames": ("image", "frames")}
    kept |= {"reference": ("latent", "encoded"), "latents": ("latent", "ksampler")}
    for name, (kind, source) in kept.items():
        graph[f"keep_{name}"] = node("KeepTensor", name=f"{name}_{shift}", **{kind: [source, 0]})
    client.succeed(graph)
    return {name: load_file(server.base / "output" / f"{name}_{shift}.safetensors")["tensor"] for name in kept}


@pytest.fixture(scope="module", params=[1.0, AUTHORS_SHIFT], ids=["template's shift", "authors' shift"])
def shift(request: pytest.FixtureRequest) -> float:
    return float(request.param)


@pytest.fixture(scope="module")
def core(server: Server, client: Client, shift: float) -> dict[str, Tensor]:
    return both_ways(server, client, shift)


def test_the_layers_are_those_of_comfyuis_own_graph_without_the_whole_picture(core: dict[str, Tensor]) -> None:
    assert core["frames"].shape == (LAYERS + 1, SIDE, SIDE, 4)
    assert distance(core["layers"], core["frames"][1:]) < TOLERANCE  # not equal: VAEDecode takes them as one batch
    assert distance(core["layers"][0], core["frames"][0]) > SHOWS


AUTHORS = node("ModelSamplingAuraFlow", model=["unet", 0], shift=AUTHORS_SHIFT)


def with_model(source: str, shift: float) -> Graph:
    """Our node with the MODEL of another node."""
    ours = native("square.png", shift)["native"]
    return {"native": {**ours, "inputs": {**ours["inputs"], "model": [source, 0]}}}


def test_a_shift_that_the_model_has_is_kept_unless_another_is_asked_for(server: Server, client: Client) -> None:
    asked, own, replaced, unset = (
        both_ways(server, client, shift, change)["layers"]
        for shift, change in (
            (AUTHORS_SHIFT, {}),
            (0.0, {"shifted": AUTHORS, **with_model("shifted", 0.0)}),
            (1.0, {"authors": AUTHORS, **with_model("authors", 1.0)}),
            (0.0, {"shifted": node("ModelSamplingAuraFlow", model=["unet", 0], shift=1.0)}),
        )
    )
    assert torch.equal(own, asked)
    assert torch.equal(replaced, unset), "without one, the template's: 1"
    assert distance(own, unset) > SHOWS


@pytest.mark.parametrize("how", ["weights", "attention", "class"])
def test_what_other_nodes_changed_of_a_model_counts(server: Server, client: Client, how: str) -> None:
    mark = server.base / "output" / "other_patcher.txt"
    mark.unlink(missing_ok=True)
    changed = node("PatchedModel", model=["unet", 0], how=how)
    shifted = node("ModelSamplingAuraFlow", model=["changed", 0], shift=1.0)
    seen = both_ways(server, client, 1.0, {"changed": changed, "shifted": shifted, **with_model("changed", 1.0)})
    plain = both_ways(server, client, 1.0)
    assert distance(seen["layers"], seen["frames"][1:]) < TOLERANCE, "as in core's own graph"
    assert (distance(seen["layers"], plain["layers"]) > SHOWS) == (how != "class")
    mark.unlink(missing_ok=True)
    alone = taking_apart({**native("square.png"), "changed": changed, **with_model("changed", 0.0)})
    client.succeed(alone)
    assert mark.exists() == (how == "class"), "the patcher that is sampled is of its own class"


class Ours:
    """Our diffusers path on the same weights, picture, embeddings, noise and schedule."""

    def __init__(self, picture: Tensor, shift: float) -> None:
        from qil_core.model import vae as single
        from qil_core.model.attention import use_joint_attention

        self.transformer, self.vae = tiny_native.transformer(), single.for_single_frames(tiny_native.vae())
        use_joint_attention(self.transformer)
        self.shift = shift
        self.latent = single.encode(self.vae, 2 * picture.permute(2, 0, 1)[None] - 1)

    def latents(self, normalize: bool = False) -> Tensor:
        """Sampled latents as tokens."""
        from qil_core.model import denoise
        from qil_core.model.first_block import FirstBlockCache
        from qil_core.model.modulation import Step

        side = SIDE // 16
        prompts = [tiny_native.embedding(text) for text in (PROMPT, NEGATIVE)]
        tokens = denoise.pack(self.latent.permute(0, 2, 1, 3, 4))
        guidance = denoise.Guidance(CFG, normalize)
        problem = denoise.Problem(prompts, tokens, side, side, LAYERS + 1, guidance)
        noise = torch.randn(1, 16, LAYERS + 1, 2 * side, 2 * side, generator=torch.Generator().manual_seed(SEED))
        start, step = denoise.pack(noise.permute(0, 2, 1, 3, 4)), Step(torch.device("cpu"))
        blocks = FirstBlockCache(self.transformer.transformer_blocks)
        return denoise.denoise(self.transformer, blocks, scheduler(self.shift), start, problem, step, _nothing)

    def layers(self, latents: Tensor) -> Tensor:
        from qil_core.model import denoise, vae

        frames = vae.decode(self.vae, denoise.unpack(latents, SIDE // 16, SIDE // 16)[1:])
        return (frames / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)


def _nothing(step: int, latents: Tensor) -> None:
    pass


def scheduler(shift: float) -> Any:
    """The model's own scheduler as our runtime sets it up for a picture of as many tokens as give this shift."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    from qil_core.checkpoints.folders import SHIPPED
    from qil_core.model import denoise

    made = FlowMatchEulerDiscreteScheduler.from_config(
        FlowMatchEulerDiscreteScheduler.load_config(SHIPPED / "scheduler.json")
    )
    denoise.schedule(made, STEPS, round(256 * shift**2), torch.device("cpu"))
    return made


@pytest.fixture(scope="module")
def ours(server: Server, shift: float) -> Iterator[Ours]:
    pixels = np.array(Image.open(server.base / "input" / "square.png").convert("RGBA"))
    with torch.inference_mode():
        yield Ours(torch.from_numpy(pixels).float() / 255, shift)


def normalized(latents: Tensor) -> Tensor:
    """ComfyUI's latents (1, 16, F, h, w), which are the VAE's, as the model has them: with mean 0 and deviation 1."""
    config = tiny_native.vae().config
    mean, std = (torch.tensor(values).view(1, 16, 1, 1, 1) for values in (config.latents_mean, config.latents_std))
    return (latents - mean) / std


def tokens(latents: Tensor) -> Tensor:
    from qil_core.model import denoise

    return denoise.pack(normalized(latents).permute(0, 2, 1, 3, 4))


def distance(a: Tensor, b: Tensor) -> float:
    """The largest difference."""
    return float((a - b).abs().max())


def test_the_encoded_picture_is_that_of_our_diffusers_path(core: dict[str, Tensor], ours: Ours) -> None:
    assert distance(normalized(core["reference"]), ours.latent) < TOLERANCE


def test_sampled_latents_are_those_of_our_diffusers_path(core: dict[str, Tensor], ours: Ours) -> None:
    assert distance(tokens(core["latents"]), ours.latents()) < TOLERANCE


def test_core_does_not_normalise_its_guidance(core: dict[str, Tensor], ours: Ours) -> None:
    assert distance(tokens(core["latents"]), ours.latents(normalize=True)) > SHOWS


def test_a_picture_in_another_place_of_the_layer_axis_would_show(
    core: dict[str, Tensor], ours: Ours, monkeypatch: pytest.MonkeyPatch
) -> None:
    rope = ours.transformer.pos_embed
    place = lambda frames, rows, columns, device: rope._compute_video_freqs(frames, rows, columns, 1, device)  # noqa: E731
    monkeypatch.setattr(rope, "_compute_condition_freqs", place)
    assert distance(tokens(core["latents"]), ours.latents()) > SHOWS


def test_decoded_layers_are_those_of_our_diffusers_path(core: dict[str, Tensor], ours: Ours) -> None:
    assert distance(core["layers"], ours.layers(ours.latents())) < TOLERANCE


@pytest.mark.parametrize("layers", [2, 4])
def test_a_picture_comes_back_from_its_layers(client: Client, server: Server, layers: int) -> None:
    run = client.succeed(saving(taking_apart(native("example.png"), layers), layers=["apart", 0]))
    stack = client.pictures(run, "layers")
    assert stack.shape == (layers, 320, 480, 4)
    assert np.abs(over(stack)[..., :3] - read(server.base / "input" / "example.png")).max() <= 1
    assert len(np.unique(stack[..., 3])) > 50, "alpha is the model's"
    (report,) = run.output("see")["text"]
    assert report.startswith(f"Qwen-Image-Layered (ComfyUI): {layers} layers of 480 x 320 px")
    assert "The model saw 192 x 128 px; 4 steps of euler, simple, cfg 2.5, shift 1." in report
    assert run.progress("apart")[-1] == 1


def test_a_transparent_picture_stays_transparent(client: Client, server: Server) -> None:
    graph = taking_apart(native("clear.png"))
    graph["apart"]["inputs"]["mask"] = ["picture", 1]
    stack, wanted = (
        client.pictures(client.succeed(saving(graph, layers=["apart", 0])), "layers"),
        read(server.base / "input" / "clear.png"),
    )
    assert (wanted[..., 3] == 0).any()
    assert np.abs(over(stack)[..., 3] - wanted[..., 3]).max() <= 1


def test_a_layer_is_split_by_the_same_model(client: Client, server: Server) -> None:
    graph = taking_apart(native("example.png"))
    graph["split"] = node("SplitLayer", model=["small", 0], layers=["apart", 0], index=1, count=3, seed=SEED)
    graph["names"] = node("PreviewAny", source=["split", 1])
    run = client.succeed(saving(graph, before=["apart", 0], after=["split", 0]))
    before, after = client.pictures(run, "before"), client.pictures(run, "after")
    assert len(after) == 4
    assert np.array_equal(after[0], before[0])
    assert np.abs(over(after) - over(before))[..., :3].max() <= 1
    assert run.output("names")["text"][0].count("layer 2/") == 3


def failing(client: Client, graph: Graph, at: str) -> str:
    """The message that the user reads when node `at` fails."""
    run = client.run(graph)
    assert run.end == "execution_error", run.end
    assert run.events[-1][1]["node_id"] == at
    return run.error


def test_a_vae_without_alpha_is_named_before_anything_runs(client: Client) -> None:
    message = failing(client, taking_apart(native("example.png", vae=tiny_native.RGB_VAE)), "native")
    assert "This VAE has 3 channels" in message
    assert "use qwen_image_layered_vae.safetensors" in message


def test_a_plain_qwen_image_model_is_named_before_anything_runs(client: Client) -> None:
    message = failing(client, taking_apart(native("example.png", model=tiny_native.PLAIN)), "native")
    assert "plain Qwen-Image or Qwen-Image-Edit" in message
    assert "load qwen_image_layered_bf16.safetensors" in message


def test_a_text_encoder_of_another_kind_is_named_before_anything_runs(client: Client) -> None:
    graph = taking_apart(native("example.png"))
    graph["clip"]["inputs"]["key"] = "t5xxl"
    message = failing(client, graph, "native")
    assert "tokens for t5xxl" in message
    assert "type qwen_image" in message


def test_a_text_encoder_of_another_size_is_named_before_sampling(client: Client) -> None:
    graph = taking_apart(native("example.png"))
    graph["clip"]["inputs"]["width"] = 48
    assert "embeddings are 48 wide, and the MODEL takes 32" in failing(client, graph, "apart")


def test_an_interrupt_stops_the_sampling_and_the_server_goes_on(client: Client) -> None:
    def interrupt(kind: str, data: dict[str, Any]) -> None:
        if kind == "progress" and data["node"] == "apart" and data["value"] > 0.1 * data["max"]:
            client.post("/interrupt", {})

    run = client.run(taking_apart(native("example.png", steps=200)), on_event=interrupt)
    assert run.end == "execution_interrupted"
    assert run.events[-1][1]["node_id"] == "apart"
    assert run.progress("apart")[-1] < 0.5
    assert client.run(taking_apart(native("second.png", steps=1))).end == "execution_success"


def test_cores_previews_are_shown_while_it_samples(client: Client) -> None:
    me = uuid.uuid4().hex
    socket = websocket.create_connection(
        f"ws://{client.address}/ws?clientId={me}", timeout=60, http_no_proxy=["127.0.0.1"]
    )
    try:
        socket.send(json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}))
        graph = taking_apart(native("example.png", steps=3))
        client.post("/prompt", {"prompt": graph, "client_id": me, "extra_data": {"preview_method": "latent2rgb"}})
        previews = list(_previews(socket))
    finally:
        socket.close()
    assert len(previews) == 3
    assert {node_id for node_id, _ in previews} == {"apart"}
    assert len({picture for _, picture in previews}) == 3
    assert all(picture.startswith(b"\xff\xd8") for _, picture in previews), "JPEG"


def _previews(socket: websocket.WebSocket) -> Iterator[tuple[str, bytes]]:
    """Node and picture of every preview until the run ends: type 4, length of its metadata, metadata, picture."""
    message = socket.recv()
    while isinstance(message, bytes) or json.loads(message)["type"] != "execution_success":
        if isinstance(message, bytes) and int.from_bytes(message[:4], "big") == 4:
            end = 8 + int.from_bytes(message[4:8], "big")
            yield json.loads(message[8:end])["node_id"], message[end:]
        message = socket.recv()
