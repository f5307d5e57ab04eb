"""Where Model Studio's client goes: with the key only to trusted addresses, for results only to public storage."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from studio_server import ASKED, KEY, Studio, answer, editor, flat, made, running, success

from qil_core.edit import studio_address
from qil_core.edit.model_studio import ModelStudio
from qil_core.edit.studio_address import base_address, check_picture_url, result_address
from qil_core.errors import QilError
from qil_core.progress import silent

OWN = "DASHSCOPE_HTTP_BASE_URL"
PUBLIC = "https://dashscope-result-bj.oss-cn-beijing.aliyuncs.com/x.png"


@pytest.fixture(autouse=True)
def nothing_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OWN, raising=False)


# Where the key goes


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://dashscope.aliyuncs.com", "https://dashscope.aliyuncs.com"),
        ("https://dashscope-us.aliyuncs.com/api/v1", "https://dashscope-us.aliyuncs.com"),
        ("https://llm-abc1.ap-southeast-1.maas.aliyuncs.com/", "https://llm-abc1.ap-southeast-1.maas.aliyuncs.com"),
    ],
)
def test_alibabas_hosts_are_taken(url: str, base: str) -> None:
    assert base_address(url) == base


@pytest.mark.parametrize(
    ("own", "url", "base"),
    [
        ("https://example.com", "https://example.com/", "https://example.com"),
        ("https://example.com/api/v1", "https://EXAMPLE.com:443/proxy/api/v1", "https://EXAMPLE.com:443/proxy"),
        ("http://localhost:80", "http://localhost/", "http://localhost"),
        ("http://[::1]:8080/", "http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_the_address_of_the_environment_is_taken(
    own: str, url: str, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OWN, own)
    assert base_address(url) == base


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example",
        "https://dashscope.aliyuncs.com.evil.example",
        "https://evil.oss-cn-beijing.aliyuncs.com",
        "http://127.0.0.1:8000",
        "http://localhost:8001",
        "http://127.0.0.1",
        "http://127.1.2.3:8000",
        "http://[::1]:8000",
        "https://127.0.0.1:8000",
        "https://10.0.0.1",
        "https://2130706433",
    ],
)
@pytest.mark.parametrize("own", ["", "http://localhost:8000"])
def test_no_other_address_gets_the_key_this_machine_included(
    url: str, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OWN, own)
    with pytest.raises(QilError, match=r"so your key is not sent there.*DASHSCOPE_HTTP_BASE_URL"):
        ModelStudio(base_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "ftp://example.com",
        "example.com",
        "https://user:pass@example.com",
        "https://example.com?x=1",
        "https://",
        "https://exa mple.com",
        "https://example.com\\@dashscope.aliyuncs.com",
        "http://127.0.0.1.example.com",
        "https://example.com:99999",
        "https://[::1",
        "\ud83d",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(QilError, match="must look like https://"):
        ModelStudio(base_url=url)


def test_a_key_file_is_not_sent_to_a_port_of_this_machine(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o600)
    monkeypatch.setenv(OWN, "http://127.0.0.1:1")
    with pytest.raises(QilError, match="your key is not sent there"):
        editor(studio, key_file=path)
    assert studio.asked == []


# Where results come from


@pytest.mark.parametrize(
    "place",
    [
        *("bj.oss-cn-beijing", "hz.oss-cn-hangzhou", "sh.oss-cn-shanghai", "wlcb.oss-cn-wulanchabu"),
        *("zjk.oss-cn-zhangjiakou", "sz.oss-cn-shenzhen", "hy.oss-cn-heyuan", "cd.oss-cn-chengdu"),
        *("gz.oss-cn-guangzhou", "wlcb-acdr-1.oss-cn-wulanchabu-acdr-1", "sgp.oss-ap-southeast-1", "sh.oss-accelerate"),
    ],
)
def test_results_are_fetched_from_the_documented_hosts_and_those_of_new_regions(place: str) -> None:
    url = f"https://dashscope-result-{place}.aliyuncs.com/7d/x.png?Expires=1&Signature=1%2B"
    assert result_address(url) == url
    assert result_address(url.replace("https", "http")) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/x.png",
        "https://evil.oss-cn-beijing.aliyuncs.com/x.png",
        "https://dashscope-result-bj.oss-cn-beijing.aliyuncs.com.evil.example/x.png",
        "https://dashscope-result-bj.oss-cn-beijing-internal.aliyuncs.com/x.png",
        "https://dashscope-result-bj.oss-internal.aliyuncs.com/x.png",
        "https://dashscope-result-bj.oss-cn-beijing.aliyuncs.com\\.evil.example/x.png",
        "https://evil.example\\@dashscope-result-bj.oss-cn-beijing.aliyuncs.com/x.png",
        "https://evil.example#@dashscope-result-bj.oss-cn-beijing.aliyuncs.com/x.png",
        PUBLIC.replace(".com/", ".com:8443/"),
        PUBLIC.replace("https", "ftp"),
        PUBLIC.replace("https://", "https://user:pass@"),
        PUBLIC.replace("x.png", "x y.png"),
        "file:///etc/passwd",
        "/x.png",
        "",
        "https://[::1",
        "http://127.0.0.1/x.png",
        "https://localhost/x.png",
        "https://10.0.0.1/x.png",
        "https://192.168.1.1/x.png",
        "https://172.16.0.1/x.png",
        "https://169.254.169.254/latest/meta-data",
        "https://100.100.100.200/latest/meta-data",
        "https://2130706433/x.png",
        "https://0x7f000001/x.png",
        "https://0177.0.0.1/x.png",
        "https://127.1/x.png",
        "https://[::1]/x.png",
        "https://[fe80::1]/x.png",
        "https://[fd00::1]/x.png",
        "https://[::ffff:127.0.0.1]/x.png",
        "https://[::ffff:7f00:1]/x.png",
        "https://printer.local/x.png",
    ],
)
def test_results_are_fetched_from_nowhere_else(url: str) -> None:
    assert result_address(url) is None


def test_results_of_the_environments_address_are_fetched_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OWN, "http://127.0.0.1:8000/api/v1")
    assert result_address("http://127.0.0.1:8000/x.png") == "http://127.0.0.1:8000/x.png"
    for other in ("http://127.0.0.1:8001/x.png", "https://127.0.0.1:8000/x.png", "http://localhost:8000/x.png"):
        assert result_address(other) is None


def test_an_answer_that_names_this_machine_is_not_followed(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OWN, studio.url)
    with running() as other:
        studio.posts = [answer(200, success(other.picture_url(0)))]
        with pytest.raises(QilError, match=r"not asked for safety's sake \(127\.0\.0\.1\)"):
            editor(studio).edit([flat(512, 512)], ASKED, silent)
        assert other.fetched == []


# Pictures by address


@pytest.mark.parametrize("url", ["https://example.com/a.png", "https://a.b.example.co:8443/x?y=1&z=%20#1"])
def test_public_addresses_of_pictures_are_taken(url: str) -> None:
    assert check_picture_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.png",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "oss://bucket/x.png",
        "https://user:pass@example.com/a.png",
        "https://localhost/a.png",
        "https://127.0.0.1/a.png",
        "https://[::1]/a.png",
        "https://2130706433/a.png",
        "https://0x7f.1/a.png",
        "https://printer.local/a.png",
        "https://example.com/a b.png",
        "https://example.com/" + "x" * studio_address.LONGEST_URL,
        "https://exämple.com/a.png",
        "https://example.com/\ud83d",
        "",
    ],
)
def test_other_addresses_of_pictures_are_refused(url: str) -> None:
    with pytest.raises(QilError, match="must be public, begin with https://"):
        check_picture_url(url)


# Proxies


def test_no_proxy_stands_between_this_machine_and_itself(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OWN, studio.url)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    studio.posts = [made(1)]
    assert len(editor(studio).edit([flat(512, 512)], ASKED, silent).pictures) == 1


@pytest.mark.slow  # an address that cannot be reached is tried again, after waits
def test_other_addresses_are_reached_through_the_proxy_of_the_environment(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, studio.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", _only_this_machine)
    with pytest.raises(QilError, match="could not be reached"):
        ModelStudio().edit([flat(512, 512)], ASKED, silent)
    assert set(studio.tunnels) == {"dashscope-intl.aliyuncs.com:443"}
    assert KEY not in json.dumps([str(seen) for seen in studio.asked])


def _only_this_machine(host: str, *rest: object, **more: object) -> object:
    assert host in ("127.0.0.1", b"127.0.0.1"), f"nothing here may ask for {host}"
    return _getaddrinfo(host, *rest, **more)  # type: ignore[arg-type]


_getaddrinfo = socket.getaddrinfo
