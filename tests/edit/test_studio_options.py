"""What Model Studio's documented interface offers beside words and pixels: sizes, addresses, usage, refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest
from studio_server import ASKED, ID, KEY, Studio, answer, editor, flat, refusal, success

from qil_core.edit.studio_request import Options
from qil_core.errors import QilError
from qil_core.progress import silent

# Sizes that are asked for


@pytest.mark.parametrize(
    ("size", "picture_size", "sent"),
    [
        ("auto", (800, 400), "1456*720"),
        ("", (800, 400), "1456*720"),
        ("1536", (500, 500), "1536*1536"),
        ("512", (500, 500), "512*512"),
        ("2048", (800, 400), "2048*1024"),
        ("2048", (512, 512), "2048*2048"),
        ("1536*1024", (600, 400), "1536*1024"),
        (" 2048 x 1024 ", (800, 400), "2048*1024"),
    ],
)
def test_a_size_can_be_asked_for(studio: Studio, size: str, picture_size: tuple[int, int], sent: str) -> None:
    client = editor(studio, size=size)
    client.edit([flat(*picture_size)], ASKED, silent)
    assert studio.sent["parameters"]["size"] == sent
    assert "{}*{}".format(*client.native_size(*picture_size)) == sent


@pytest.mark.parametrize(
    "size", ["511", "2049", "1024*2049", "100*1024", "1024*", "big", "-1024", "1e3", "1024*1024*3"]
)
def test_sizes_outside_the_documented_bounds_are_refused(size: str) -> None:
    with pytest.raises(QilError, match=r"each 512 to 2048; got "):
        Options(size=size)


def test_a_size_that_cannot_be_had_is_refused_before_anything_is_sent(studio: Studio) -> None:
    with pytest.raises(QilError, match=r"another aspect.*Use size auto"):
        editor(studio, size="1536*1024").edit([flat(512, 512)], ASKED, silent)
    with pytest.raises(QilError, match="a size for one variant only, got 2 variants"):
        editor(studio, size="1536").edit([flat(512, 512)], replace(ASKED, variants=2), silent)
    with pytest.raises(QilError, match="qwen-image-edit takes no size, got 1536"):
        Options("qwen-image-edit", "1536")
    assert studio.asked == []


# Pictures by address


URLS = ("https://example.com/hat.png", "https://example.com/dress.jpg?x=1")


def test_addresses_of_pictures_are_passed_on_as_they_are_and_not_fetched(studio: Studio) -> None:
    editor(studio).edit([flat(800, 400)], replace(ASKED, picture_urls=URLS), silent)
    content = studio.sent["input"]["messages"][0]["content"]
    assert [item.get("image", "")[:10] for item in content] == ["data:image", "https://ex", "https://ex", ""]
    assert tuple(item["image"] for item in content[1:3]) == URLS
    assert studio.sent["parameters"]["size"] == "1456*720"
    assert len(studio.fetched) == 1, "only the result"


@pytest.mark.parametrize(
    ("pictures", "urls", "more", "message"),
    [
        (1, (*URLS, "https://example.com/3.png"), {}, "number of pictures must be 1 to 3, got 4"),
        (2, URLS, {}, "number of pictures must be 1 to 3, got 4"),
        (0, URLS, {}, "picture to edit must be given as pixels"),
        (1, ("http://example.com/x.png",), {}, "must be public, begin with https://"),
        (1, URLS[:1], {"variants": 2}, "Addresses of pictures work with one variant"),
    ],
)
def test_addresses_that_the_api_cannot_use_are_refused_before_anything_is_sent(
    studio: Studio, pictures: int, urls: tuple[str, ...], more: dict[str, int], message: str
) -> None:
    with pytest.raises(QilError, match=message):
        editor(studio).edit([flat(512, 512)] * pictures, replace(ASKED, picture_urls=urls, **more), silent)
    assert studio.asked == []


# What was counted, and why something was refused


@pytest.mark.parametrize(
    ("usage", "said"),
    [
        ({"width": 1184, "height": 880, "image_count": 1}, "Model Studio counted 1 picture of 1184 x 880 px. "),
        ({"image_count": 2}, "Model Studio counted 2 pictures. "),
        ({"width": 1184}, ""),
        ({"image_count": "9" * 9, "width": [KEY], "height": True}, ""),
        (None, ""),
        ([KEY], ""),
    ],
)
def test_usage_and_request_id_are_in_the_notes(studio: Studio, usage: object, said: str) -> None:
    studio.posts = [answer(200, success(studio.picture_url(0)) | {"usage": usage})]
    edited = editor(studio).edit([flat(512, 512)], ASKED, silent)
    assert edited.notes == (f"{said}Model Studio's request_id: {ID}.",)


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (401, "InvalidApiKey", "a key belongs to one region"),
        (401, "invalid_api_key", "a key belongs to one region"),
        (400, "Arrearage", "has to be paid up"),
        (400, "DataInspectionFailed", "content check refused"),
        (400, "data_inspection_failed", "content check refused"),
        (400, "IPInfringementSuspect", "protected work"),
        (404, "ModelNotFound", "no model of this name"),
        (403, "Model.AccessDenied", "may not use this model"),
        (403, "AccessDenied.Unpurchased", "has to be activated"),
        (403, "AccessDenied", "may not use this model"),
        (403, "AllocationQuota.FreeTierOnly", "free pictures are used up"),
        (400, "InvalidParameter", "does not take a value"),
        (400, "InvalidURL", "could not read the address"),
        (429, "Throttling", "limit is reached: wait"),
        (429, "Throttling.RateQuota", "limit is reached: wait"),
        (429, "Throttling.AllocationQuota", "quota of this model is used up"),
        (429, "Unheard", "limit is reached: wait"),
    ],
)
def test_refusals_are_explained(studio: Studio, status: int, code: str, hint: str) -> None:
    studio.posts = [refusal(status, code, "Said by the server.")]
    with pytest.raises(QilError, match=rf"HTTP {status}\): {code}: Said by the server\. .*{hint}"):
        editor(studio).edit([flat(512, 512)], ASKED, silent)
