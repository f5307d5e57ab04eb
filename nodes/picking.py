"""What the panel of Layer Editor asks for while people pick: the mask of what they clicked, and the layers of a cut.

Two routes, POST with a JSON body of at most MAX_BODY bytes, untrusted as the text of the edits is:

    /qil/layer_editor/pick  {"cut": {...}, "name": "c2"}  ->  {"box": [l, t, r, b], "png": base64}, the mask of cut c2
    /qil/layer_editor/cut   {"cut": {...}}                ->  {"cuts": [...]}, as the node's own output has them

`cut` holds the cuts as the text of the edits does. Only layers that the node has seen can be picked in. What is wrong
is {"error": text} with the status 400, or 410 where the layers are no longer in memory. The work is done in threads of
its own, few of them, so that neither the server nor a running graph waits.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from PIL import Image

from ..qil_core.decompose.matting import check_matting
from ..qil_core.editor.cutting import Cutter, Sheet
from ..qil_core.editor.items import known_cuts
from ..qil_core.editor.picks import Cut, cut_fields, read_cuts
from ..qil_core.editor.previews import Preview, preview
from ..qil_core.editor.reading import mapping
from ..qil_core.error_codes import told
from ..qil_core.errors import QilError
from ..qil_core.kept import Kept
from ..qil_core.stack import Box, LayerStack, content_box
from . import host

MAX_BODY = 1 << 18
"""Bytes of a request: MAX_CUTS cuts of a few clicks each take a tenth of it."""

WORKERS = 2
"""Requests that are worked on at once; the panel sends one at a time. Others wait."""

MAX_WAITING = 16
"""Requests that may wait; more are refused."""

SEEN_BYTES = 1 << 29
"""Memory of the layers that can be picked in, a byte a channel: 70 layers of 1328 x 1328 pixels."""

GONE = 410
"""The status of an answer that says: run the workflow, then pick."""

cutter = Cutter()
_sheets: Kept[Sheet] = Kept(SEEN_BYTES)
_workers = ThreadPoolExecutor(WORKERS, "qil-pick")
_waiting: list[None] = []


class LayersGone(QilError):
    """Layers that are asked for are not in memory."""


def remember(stack: LayerStack, keys: list[str]) -> None:
    """Keeps the layers of a stack, by their fingerprints, for people to pick in."""
    for layer, key in zip(stack.pixels, keys, strict=True):
        own = key.partition(".")[0]
        if _sheets.get(own) is None:
            sheet = Sheet.of_layer(own, layer)
            _sheets.put(own, sheet, sheet.pixels.nbytes)


def shown_cuts(cuts: Mapping[str, Cut], pieces: Mapping[str, Sheet], show: Callable[[str, Any], Any]) -> list[Any]:
    """For the panel: every cut with the previews of what it left and what it cut out, in the order of the cuts.

    A layer that is cut twice has a rest for each cut, so they are made again one by one; all of them are remembered.
    show(key, make): the preview of a key, made by make() where it is not there yet.
    """
    now = dict(pieces)
    found = []
    for name, cut in cuts.items():
        now[cut.of], now[name] = cutter.cut(now[cut.of], cut.pick)
        rest, thing = (show(now[one].key, lambda one=one: _preview(now[one])) for one in (cut.of, name))
        found.append({"id": name, **cut_fields(cut), "rest": rest, "thing": thing})
    return found


def _preview(sheet: Sheet) -> Preview:
    return preview(LayerStack(sheet.layer[None], ("",)), 0)


def add_routes(show: Callable[[str, Any], Any]) -> None:
    """Adds the routes to ComfyUI's server, where there is one."""
    host.add_route("/qil/layer_editor/pick", _answering(_pick))
    host.add_route("/qil/layer_editor/cut", _answering(lambda body: _cut(body, show)))


def _answering(work: Callable[[dict[str, Any]], Any]) -> host.Answer:
    """A route's handler: reads the body, lets a worker do the work, and says what is wrong in JSON."""

    async def answer(read: host.Read) -> tuple[int, Any]:
        import asyncio

        if len(_waiting) >= MAX_WAITING:
            return 429, {"error": "Too much is asked for at once: wait a moment, then click again."}
        _waiting.append(None)
        try:
            body = _object(await read(MAX_BODY))
            return 200, await asyncio.get_running_loop().run_in_executor(_workers, _quietly, work, body)
        except LayersGone as error:
            return GONE, {"error": told(error)}
        except QilError as error:
            return 400, {"error": told(error)}
        finally:
            _waiting.pop()

    return answer


def _quietly(work: Callable[[dict[str, Any]], Any], body: dict[str, Any]) -> Any:
    """Layers come from a run, under inference mode, and are used under it."""
    with torch.inference_mode():
        return work(body)


def _object(data: bytes) -> dict[str, Any]:
    try:
        return mapping("the request", json.loads(data))
    except (ValueError, RecursionError) as error:
        raise QilError(f"The request is no JSON text ({error}).") from None


def _sheets_for(body: dict[str, Any]) -> tuple[dict[str, Cut], dict[str, Sheet]]:
    """The cuts of a request in their order, and the layers that they are made in. Raises LayersGone."""
    given = read_cuts(body.get("cut"))
    of = {cut.of for cut in given.values() if not cut.of.startswith("c")}
    sheets = {key: sheet for key in of if (sheet := _sheets.get(key.partition(".")[0]))}
    if len(sheets) < len(of):
        raise LayersGone("Run the workflow to pick: the layers are no longer in memory.")
    cuts = known_cuts(given, list(sheets))
    if len(cuts) < len(given) or not cuts:
        raise QilError("The request names a cut of a layer that is not there: give all cuts that it needs.")
    return cuts, sheets


def _pick(body: dict[str, Any]) -> dict[str, Any]:
    cuts, sheets = _sheets_for(body)
    last = cuts.pop(str(body.get("name")), None)
    if last is None:
        raise QilError('The request names no cut: give "name" the id of the cut that is looked at.')
    check_matting()  # said before people have clicked for minutes
    found = cutter.layers(sheets, {name: cut for name, cut in cuts.items() if int(name[1:]) < int(body["name"][1:])})
    sheet = found[last.of]
    mask = cutter.mask(sheet, last.pick)
    seen = content_box(torch.from_numpy(mask))
    if seen is None:
        return {"box": None}
    data = io.BytesIO()
    Image.fromarray(mask[seen.within(Box(0, 0, *mask.shape[::-1]))]).save(data, "PNG")
    x, y = sheet.box.left, sheet.box.top
    box = [seen.left + x, seen.top + y, seen.right + x, seen.bottom + y]
    return {"box": box, "png": base64.b64encode(data.getvalue()).decode()}


def _cut(body: dict[str, Any], show: Callable[[str, Any], Any]) -> dict[str, Any]:
    cuts, sheets = _sheets_for(body)
    return {"cuts": shown_cuts(cuts, sheets, show)}
