"""Model Studio's client against a server on this machine: what is sent and what comes back."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from studio_server import (
    ASKED,
    ID,
    KEY,
    PATH,
    PLUS,
    PNG,
    Act,
    Studio,
    answer,
    cut,
    editor,
    endless,
    file,
    flat,
    made,
    picture,
    raw,
    refusal,
    response,
    success,
)
from torch import Tensor

from qil_core.edit import Editor, model_studio, studio_http, studio_pictures
from qil_core.edit.model_studio import ModelStudio
from qil_core.edit.studio_http import Lost
from qil_core.edit.studio_request import Options
from qil_core.edit_request import EditRequest
from qil_core.errors import QilError
from qil_core.files import png
from qil_core.progress import silent


def sent_picture(studio: Studio, index: int) -> Image.Image:
    head, _, data = studio.sent["input"]["messages"][0]["content"][index]["image"].partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return Image.open(io.BytesIO(base64.b64decode(data)), formats=[head[11:-7]])


# What is sent


def test_the_request_is_the_documented_one(studio: Studio) -> None:
    client: Editor = editor(studio, watermark=True, prompt_extend=False)
    client.edit([picture(3, 512, 400)], EditRequest("Make it blue: 蓝色.", "blurry", 1, 42, 7, 9.0), silent)
    (asked,) = studio.asked
    assert asked.path == PATH
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    image = studio.sent["input"]["messages"][0]["content"][0]["image"]
    assert studio.sent == {
        "model": PLUS,
        "input": {"messages": [{"role": "user", "content": [{"image": image}, {"text": "Make it blue: 蓝色."}]}]},
        "parameters": {
            "n": 1,
            "negative_prompt": "blurry",
            "prompt_extend": False,
            "watermark": True,
            "seed": 42,
            "size": "1152*912",
        },
    }
    assert np.array_equal(np.array(sent_picture(studio, 0)), (picture(3, 512, 400) * 255).round().byte().numpy())


def test_qwen_image_edit_gets_neither_size_nor_prompt_extend(studio: Studio) -> None:
    editor(studio, "qwen-image-edit").edit([flat(512, 512)], ASKED, silent)
    assert studio.sent["parameters"] == {"n": 1, "negative_prompt": " ", "watermark": False, "seed": 0}


def test_no_size_is_asked_for_when_several_pictures_are(studio: Studio) -> None:
    studio.posts = [made(2)]
    editor(studio).edit([flat(512, 512)], replace(ASKED, variants=2), silent)
    assert "size" not in studio.sent["parameters"]


@pytest.mark.parametrize(
    ("region", "host"), [("Singapore", "dashscope-intl.aliyuncs.com"), ("Beijing", "dashscope.aliyuncs.com")]
)
def test_a_region_is_an_address(region: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = []

    def call(_: Any, ask: studio_http.Ask, *__: Any) -> Lost:
        urls.append(ask.url)
        return Lost("no network in tests", sent=False)

    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    monkeypatch.setattr(studio_http.Caller, "call", call)
    with pytest.raises(QilError, match="Nothing was charged"):
        ModelStudio(region=region).edit([flat(512, 512)], ASKED, silent)
    assert urls == [f"https://{host}{PATH}"]


@pytest.mark.parametrize(
    ("model", "request_", "message"),
    [
        (PLUS, EditRequest("x" * 801), "801 characters, Model Studio takes 800"),
        (PLUS, EditRequest("x", "y" * 501), "501 characters, Model Studio takes 500"),
        (PLUS, EditRequest("x", variants=7), "Variants must be 1 to 6, got 7"),
        ("qwen-image-edit", EditRequest("x", variants=2), "makes 1 picture at a time, got 2"),
        (PLUS, EditRequest("x", seed=2**31), "Seed must be 0 to 2147483647"),
        (PLUS, EditRequest(" "), "instruction is empty"),
    ],
)
def test_limits_are_checked_before_anything_is_sent(
    studio: Studio, model: str, request_: EditRequest, message: str
) -> None:
    with pytest.raises(QilError, match=message):
        editor(studio, model).edit([flat(512, 512)], request_, silent)
    assert studio.asked == []


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ([], "number of pictures must be 1 to 3, got 0"),
        ([flat(400, 400)] * 4, "got 4"),
        ([torch.zeros(400, 400, 4)], "Expected 3 channels, got 4"),
        ([flat(400, 400, 1.5)], r"must lie in \[0, 1\]"),
        ([flat(2001, 500)], "2001x500.*4 times"),
        ([flat(400, 400), flat(4000, 400)], "Picture 2 is 4000x400.*8 times"),
    ],
)
def test_pictures_that_the_api_cannot_take_are_not_sent(studio: Studio, pictures: list[Tensor], message: str) -> None:
    with pytest.raises(QilError, match=message):
        editor(studio).edit(pictures, ASKED, silent)
    assert studio.asked == []


def test_unknown_regions_are_refused() -> None:
    with pytest.raises(QilError, match="one of Singapore, Beijing; got Mars"):
        ModelStudio(region="Mars")


def test_a_model_that_is_not_known_here_is_asked_and_what_the_api_says_is_shown(studio: Studio) -> None:
    studio.posts = [refusal(404, "ModelNotFound", "Model not exist.")]
    with pytest.raises(QilError, match=r"ModelNotFound: Model not exist\..*check the name and the region"):
        editor(studio, "qwen-image-edit-ultra-2027").edit([flat(512, 512)], ASKED, silent)
    assert studio.sent["model"] == "qwen-image-edit-ultra-2027"
    assert studio.sent["parameters"]["size"] == "1024*1024"


@pytest.mark.parametrize("name", ["", "x" * 129, "a b", "a\nb", "\ud83d", "-x"])
def test_what_is_no_name_of_a_model_is_refused(name: str) -> None:
    with pytest.raises(QilError, match=r"1 to 128 letters.*Known ones are qwen-image-edit-plus, "):
        Options(name)


def test_the_limits_themselves_are_taken(studio: Studio) -> None:
    request = EditRequest("é" * 800, "y" * 500, 6, 2**31 - 1)
    studio.posts = [made(6)]
    assert len(editor(studio).edit([flat(2000, 500)], request, silent).pictures) == 6


# Sizes


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ((1024, 1024), (1024, 1024)),
        ((64, 64), (1024, 1024)),
        ((4000, 3000), (1184, 880)),
        ((1000, 4000), (512, 2048)),
        ((3900, 1000), (2016, 512)),
    ],
)
def test_the_native_size_has_a_megapixel_in_the_pictures_aspect(given: tuple[int, int], size: tuple[int, int]) -> None:
    assert ModelStudio().native_size(*given) == size


@pytest.mark.parametrize(
    ("given", "sent"),
    [((384, 3072), (384, 3072)), ((100, 50), (768, 384)), ((4096, 2048), (3072, 1536)), ((6000, 1500), (3072, 768))],
)
def test_pictures_outside_the_apis_sizes_are_scaled_and_the_notes_say_so(
    given: tuple[int, int], sent: tuple[int, int]
) -> None:
    uri, notes = studio_pictures.data_uri(flat(*given), "Picture 1")
    assert png.png_size(base64.b64decode(uri.partition(",")[2])) == sent
    said = f"scaled from {given[0]}x{given[1]} to {sent[0]}x{sent[1]}"
    assert (said in "".join(notes)) == (given != sent)


def test_scaled_pictures_are_named_in_the_answers_notes(studio: Studio) -> None:
    edited = editor(studio).edit([flat(100, 100)], ASKED, silent)
    assert "Picture 1 was sent scaled from 100x100 to 384x384" in edited.notes[0]
    assert sent_picture(studio, 0).size == (384, 384)


def test_a_png_over_the_limit_goes_as_jpeg_and_smaller_if_that_is_too_large_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noise = picture(0, 400, 400)
    monkeypatch.setattr(studio_pictures, "LONGEST_URI", 600_000)
    uri, (note,) = studio_pictures.data_uri(noise, "Picture 1")
    assert uri.startswith("data:image/jpeg;base64,")
    assert "as JPEG (quality 95): its PNG is larger" in note
    monkeypatch.setattr(studio_pictures, "LONGEST_URI", 200_000)
    uri, (note,) = studio_pictures.data_uri(noise, "Picture 1")
    size = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).size
    assert 100_000 < len(uri) <= 200_000
    assert f"scaled from 400x400 to {size[0]}x{size[1]}" in note


# Several pictures


def test_with_several_pictures_the_size_asked_for_is_the_first_ones(studio: Studio) -> None:
    editor(studio).edit([flat(800, 400), flat(500, 500)], ASKED, silent)
    assert studio.sent["parameters"]["size"] == "1456*720"
    assert [sent_picture(studio, i).size for i in (0, 1)] == [(800, 400), (500, 500)]


@pytest.mark.parametrize(("model", "variants"), [(PLUS, 2), ("qwen-image-edit", 1)])
def test_where_no_size_can_be_asked_for_the_last_picture_gets_the_firsts_aspect(
    studio: Studio, model: str, variants: int
) -> None:
    studio.posts = [made(variants)]
    reference = flat(500, 500, 0.2)
    reference[200:300, 200:300] = 0.8
    request = replace(ASKED, variants=variants)
    edited = editor(studio, model).edit([flat(800, 400), flat(600, 400), reference], request, silent)
    assert [sent_picture(studio, i).size for i in (0, 1, 2)] == [(800, 400), (600, 400), (1000, 500)]
    padded = np.array(sent_picture(studio, 2))
    assert (padded[:, :250] == 51).all()
    assert (padded[:, -250:] == 51).all()
    assert (padded[200:300, 450:550] == 204).all()
    assert edited.notes[0].startswith("Picture 3 was padded to the aspect of picture 1")


def test_a_picture_of_the_right_aspect_is_not_padded() -> None:
    given = picture(0, 30, 40)
    assert studio_pictures.letterbox(given, 300, 400) is given
    assert studio_pictures.letterbox(given, 100, 400).shape == (120, 30, 3)


# What comes back


def test_every_picture_comes_back_with_its_values(studio: Studio) -> None:
    studio.posts = [made(4)]
    edited = editor(studio).edit([flat(512, 512)], replace(ASKED, variants=4), silent)
    assert len(edited.pictures) == 4
    for i, found in enumerate(edited.pictures):
        assert found.dtype == torch.float32
        assert torch.equal(found, picture(i))
    assert edited.notes == (f"Model Studio counted 4 pictures of 1024 x 1024 px. Model Studio's request_id: {ID}.",)
    assert len(studio.asked) == 1


def test_the_download_gets_no_key_and_no_cookie(studio: Studio) -> None:
    body = json.dumps(success(studio.picture_url(0))).encode()
    studio.posts = [answer(200, body, {"Set-Cookie": "session=1; Path=/"})]
    editor(studio).edit([flat(512, 512)], ASKED, silent)
    (fetched,) = studio.fetched
    assert not {"authorization", "cookie"} & set(fetched.headers)
    assert KEY not in str(fetched)
    assert fetched.path == "/0.png?Expires=1&Signature=secret-signature"


def test_fewer_pictures_than_asked_for_are_kept_and_counted(studio: Studio) -> None:
    studio.posts = [made(2)]
    edited = editor(studio).edit([flat(512, 512)], replace(ASKED, variants=4), silent)
    assert len(edited.pictures) == 2
    assert "Model Studio made 2 of 4 pictures; 2 are here." in edited.notes


def test_a_picture_that_cannot_be_fetched_does_not_cost_the_others(studio: Studio) -> None:
    studio.posts = [made(3)]
    studio.gets[1] = answer(403, b"<Error><Code>AccessDenied</Code></Error>")
    edited = editor(studio).edit([flat(512, 512)], replace(ASKED, variants=3), silent)
    assert [torch.equal(a, picture(b)) for a, b in zip(edited.pictures, (0, 2), strict=True)] == [True, True]
    assert "Picture 2 of 3 was made but did not come: its address has expired" in edited.notes[0]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (answer(403, b"expired"), "address has expired.*HTTP 403"),
        (answer(404, b"gone"), "address has expired.*HTTP 404"),
        (answer(302, b"", {"Location": "https://example.com/x.png"}), "answered with HTTP 302"),
        (answer(200, b"<!DOCTYPE html><p>Log in"), "not a PNG file; the file begins with '<!DOCTYPE html><p>Log in'"),
        (answer(200, PNG[:-200]), "broken PNG"),
        (answer(200, PNG[:20]), "not a PNG"),
        (answer(200, b""), "not a PNG"),
        (answer(200, PNG[:16] + b"\0\0\xff\xff\0\0\xff\xff" + PNG[24:]), "65535x65535 pixels"),
        (raw(response(200, PNG[:99], length=len(PNG))), "download failed .*RemoteProtocolError"),
    ],
)
def test_a_picture_that_is_none_is_an_error_with_the_request_id(studio: Studio, act: Act, message: str) -> None:
    studio.gets[0] = act
    with pytest.raises(QilError, match=rf"(?s){message}.*have been charged. request_id: {ID}"):
        editor(studio).edit([flat(512, 512)], ASKED, silent)
    assert len(studio.asked) == 1


def test_a_huge_download_is_broken_off(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_studio, "LARGEST_PICTURE", 1_000_000)
    studio.gets[0] = endless
    with pytest.raises(QilError, match="answer is larger than 1 MB"):
        editor(studio).edit([flat(512, 512)], ASKED, silent)
    assert studio.hung_up.wait(5)
    assert len(studio.fetched) == 1


def test_downloads_are_repeated_freely(studio: Studio) -> None:
    acts = [answer(503, b""), cut, raw(response(200, PNG[:50], length=len(PNG))), file(0)]
    studio.gets[0] = lambda handler: acts.pop(0)(handler)
    edited = editor(studio).edit([flat(512, 512)], ASKED, silent)
    assert torch.equal(edited.pictures[0], picture(0))
    assert (len(studio.asked), len(studio.fetched)) == (1, 4)


def test_an_address_with_the_key_in_it_is_not_asked(studio: Studio) -> None:
    studio.posts = [answer(200, success(f"{studio.url}/0.png?token={KEY}"))]
    with pytest.raises(QilError, match="not asked for safety's sake"):
        editor(studio).edit([flat(512, 512)], ASKED, silent)
    assert studio.fetched == []
