from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from micropic.settings import Knob, Settings, SettingsError, cores, knobs, load

KNOBS = list(knobs())
File = Callable[[str], Path]


@pytest.fixture
def file(tmp_path: Path) -> File:
    def write(text: str) -> Path:
        path = tmp_path / "micropic.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def value(settings: Settings, name: str) -> Any:
    section, key = name.split(".")
    return getattr(getattr(settings, section), key)


def refusal(
    config: Path | None = None,
    environ: dict[str, str] | None = None,
    flags: dict[str, str] | None = None,
) -> str:
    with pytest.raises(SettingsError) as caught:
        load(config, environ or {}, flags or {})
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_a_flag_goes_before_the_environment_before_the_file_before_the_default(
    file: File,
) -> None:
    config = file("proxy: {port: 1, host: a, timeout: 1, max_side: 1}")
    environ = {"PROXY_PORT": "2", "PROXY_HOST": "b", "PROXY_TIMEOUT": "2", "HOME": "/"}
    settings, notes = load(config, environ, {"proxy.port": "3", "proxy.host": "c"})
    proxy = settings.proxy
    assert (proxy.port, proxy.host, proxy.timeout, proxy.max_side) == (3, "c", 2, 1)
    assert proxy.max_in_flight == Settings().proxy.max_in_flight
    assert notes == []


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}", "proxy: {}"])
def test_an_empty_file_gives_the_defaults(text: str, file: File) -> None:
    assert load(file(text), {}, {}) == (Settings(), [])


def test_an_empty_flag_goes_before_the_environment_too() -> None:
    assert load(None, {"LOG_FILE": "/x"}, {"log.file": ""})[0].log.file == ""


def test_an_empty_variable_counts_as_none(file: File) -> None:
    assert load(file("log: {file: /x}"), {"LOG_FILE": ""}, {})[0].log.file == "/x"


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.name)
def test_every_knob_says_what_it_is_and_what_it_may_be(knob: Knob) -> None:
    assert knob.description
    assert knob.allowed
    assert knob.environment == knob.name.replace(".", "_").upper()
    assert knob.flag == "--" + knob.name.replace(".", "-").replace("_", "-")


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.name)
def test_a_default_may_be_given_in_the_words_it_is_shown_in(knob: Knob) -> None:
    settings, _ = load(None, {knob.environment: knob.default}, {})
    assert value(settings, knob.name) == value(Settings(), knob.name)


def test_no_two_knobs_share_a_name() -> None:
    assert len({knob.environment for knob in KNOBS}) == len({knob.flag for knob in KNOBS})
    assert len({knob.environment for knob in KNOBS}) == len(KNOBS)


@pytest.mark.parametrize(
    "name",
    [
        "PROXY_HOST", "PROXY_PORT", "PROXY_TIMEOUT", "CACHE_DIRNAME", "CACHE_SIZE", "CACHE_ENTRIES",
        "PREVIEWER_QUALITY", "LOG_LEVEL", "LOG_FILE", "HEALTH_PORT", "SOURCE_ALLOW_NETWORKS",
    ],
)  # fmt: skip
def test_the_names_that_the_outside_knows_are_there(name: str) -> None:
    assert name in {knob.environment for knob in KNOBS}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("PROXY_PORT", "0", 0),
        ("PROXY_PORT", "65535", 65535),
        ("PROXY_TIMEOUT", "0.5", 0.5),
        ("PROXY_TIMEOUT", "3600", 3600),
        ("PREVIEWER_QUALITY", "100", 100),
        ("SOURCE_DEFAULT_SCHEME", "https", "https"),
        ("SOURCE_MAX_BYTES", "2GB", 2_000_000_000),
        ("SOURCE_MAX_BYTES", "1 KiB", 1024),
        ("CACHE_SIZE", "1.5MiB", 1_572_864),
        ("CACHE_DIRNAME", "/var/cache", Path("/var/cache")),
        *(
            ("CACHE_URL", url, url)
            for url in (
                "file:///var/cache/micropic",
                "memory://",
                "grpc://cache.example:50051",
                "grpc://[2001:db8::1]:50051",
                "redis://localhost",
                "redis://user:secret@redis.example:6379/15",
                "rediss://:se%2Fcret@[::1]:6380/",
                "s3://bucket",
                "s3://my.bucket-1/some/prefix/",
                "s3://bucket/prefix?endpoint=https://s3.example:9000",
                "s3://bucket?endpoint=http://127.0.0.1:9000/",
            )
        ),
        (
            "PROXY_KEYS",
            "Sixteen and More!, one of Yesterday",
            ("Sixteen and More!", "one of Yesterday"),
        ),
        ("PROXY_SIZES", "300x200, 64X64", ("300x200", "64x64")),
        ("PROXY_PREFIX", "/img/small", "/img/small"),
        ("PROXY_CLIENT_HEADER", "X-Real-IP", "x-real-ip"),
        ("SOURCE_ALLOW_PORTS", "443, 80,8000-8002", (80, 443, 8000, 8001, 8002)),
        (
            "PROXY_TRANSFORMS",
            "fill/300/200 /fit/9/9/q=70,f=png/",
            ("fill/300/200", "fit/9/9/q=70,f=png"),
        ),
        ("LOG_LEVEL", "DEBUG", "debug"),
        ("SOURCE_ALLOW_HOSTS", "A.example, *.b.example,,", ("a.example", "*.b.example")),
        ("SOURCE_ALLOW_HOSTS", "", ()),
        ("SOURCE_DENY_HOSTS", "*.Bücher.example", ("*.xn--bcher-kva.example",)),
        ("SOURCE_NAMESERVERS", "1.1.1.1,[::1]:53", ("1.1.1.1", "[::1]:53")),
        (
            "SOURCE_ALLOW_NETWORKS",
            "127.0.0.0/8, fd00::/8,10.0.0.1",
            (ip_network("127.0.0.0/8"), ip_network("fd00::/8"), ip_network("10.0.0.1/32")),
        ),
    ],
)
def test_a_value_is_read(name: str, text: str, expected: object) -> None:
    settings, _ = load(None, {name: text}, {})
    knob = next(knob for knob in KNOBS if knob.environment == name)
    assert value(settings, knob.name) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PROXY_PORT", "eighty"),
        ("PROXY_PORT", "-1"),
        ("PROXY_PORT", "65536"),
        ("PROXY_TIMEOUT", "0"),
        ("PROXY_TIMEOUT", "3601"),
        ("PROXY_TIMEOUT", "nan"),
        ("PROXY_MAX_SIDE", "16385"),
        ("PREVIEWER_QUALITY", "0"),
        ("PREVIEWER_QUALITY", "101"),
        ("RENDER_MAX_PIXELS", "0"),
        ("SOURCE_DEFAULT_SCHEME", "ftp"),
        ("SOURCE_MAX_BYTES", "much"),
        ("SOURCE_MAX_BYTES", "-5MiB"),
        ("SOURCE_ALLOW_NETWORKS", "10.0.0.1/8"),
        ("CACHE_SIZE", "-5"),
        ("CACHE_URL", "/var/cache"),
        ("CACHE_URL", "file://"),
        ("CACHE_URL", "file:///"),
        ("CACHE_URL", "file://host/var/cache"),
        ("CACHE_URL", "memory://512MiB"),
        ("CACHE_URL", "grpc://cache.example"),
        ("CACHE_URL", "grpc://cache.example:0"),
        ("CACHE_URL", "grpc://cache.example:65536"),
        ("CACHE_URL", "grpc://cache.example:50051/x"),
        ("CACHE_URL", "redis://"),
        ("CACHE_URL", "redis://localhost:99999"),
        ("CACHE_URL", "redis://localhost/previews"),
        ("CACHE_URL", "redis://localhost?db=1"),
        ("CACHE_URL", "redis://[::1"),
        ("CACHE_URL", "s3://"),
        ("CACHE_URL", "s3:///prefix"),
        ("CACHE_URL", "s3://bucket?region=x"),
        ("CACHE_URL", "s3://bucket?endpoint=s3.example"),
        ("CACHE_URL", "http://cache.example"),
        ("CACHE_TIMEOUT", "0"),
        ("CACHE_SIZE", "5 apples"),
        ("PROXY_SIZES", "300"),
        ("PROXY_PREFIX", "img"),
        ("PROXY_PREFIX", "/img/"),
        ("SOURCE_ALLOW_PORTS", "0"),
        ("SOURCE_ALLOW_PORTS", "80-79"),
        ("SOURCE_ALLOW_PORTS", "http"),
        ("SOURCE_ALLOW_PORTS", "65536"),
        ("PROXY_SIZES", "0x5"),
        ("PROXY_TRANSFORMS", "fill/300"),
        ("PROXY_TRANSFORMS", "fill/300/200/q=0"),
        ("PROXY_TRANSFORMS", "fill/300/200/q70"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_value_is_told_with_its_name_and_what_is_allowed(name: str, text: str) -> None:
    knob = next(knob for knob in KNOBS if knob.environment == name)
    by_environment = refusal(environ={name: text})
    start = f"The setting {knob.name} is "
    assert by_environment.startswith(start)
    assert by_environment.endswith(f"given by {name}; allowed: {knob.allowed}.")
    by_flag = refusal(flags={knob.name: text})
    assert by_flag.endswith(f"given by {knob.flag}; allowed: {knob.allowed}.")


@pytest.mark.parametrize("keys", ["short", "Sixteen and More!,short"])
def test_keys_that_are_too_short_are_refused_and_not_told(keys: str) -> None:
    told = refusal(environ={"PROXY_KEYS": keys})
    assert told.startswith("The setting proxy.keys is ***, given by PROXY_KEYS; allowed: ")
    assert "Sixteen and" not in told


def test_a_password_in_a_wrong_url_is_not_told() -> None:
    told = refusal(environ={"CACHE_URL": "redis://user:sec/ret@redis.example/x"})
    assert "sec" not in told
    assert "redis://***@redis.example/x" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("proxy: {port: eighty}", "The setting proxy.port is 'eighty', in {}; allowed: "),
        ("proxy: {port: }", "The setting proxy.port is None, in {}; allowed: "),
        ("proxy: {port: [1]}", "The setting proxy.port is [1], in {}; allowed: "),
        (
            "source: {allow_networks: ['::/0', x]}",
            "The setting source.allow_networks is 'x', in {}; allowed: networks",
        ),
        (
            "proxy: {prot: 1}",
            "There is no setting 'proxy.prot', in {}. The settings are proxy.host,",
        ),
        ("proxy: {1: 2}", "There is no setting 'proxy.1', in {}. The settings are proxy.host,"),
        ('proxy: {"a\\nb": 1}', "There is no setting 'proxy.a\\nb', in {}. The settings are "),
        ("[" * 3000, "The settings file {} cannot be read: "),
        ("porxy: {port: 1}", "There is no setting 'porxy', in {}. The settings are proxy.host,"),
        ("[1, 2]", "The settings file {} cannot be read: "),
        ("proxy: 8080", "The settings file {} cannot be read: "),
        ("8080", "The settings file {} cannot be read: "),
        ("proxy: {\n  port: [\n", "The settings file {} cannot be read: "),
        ("a: 1\n b: 2", "The settings file {} cannot be read: "),
        ("\ta: \0", "The settings file {} cannot be read: "),
        ("a: !!python/object:os.system {}", "The settings file {} cannot be read: "),
        ("cache: {size: -5}", "The setting cache.size is -5, in {}; allowed: "),
    ],
)
def test_what_is_wrong_in_the_file_is_told_in_one_line(text: str, told: str, file: File) -> None:
    config = file(text)
    assert refusal(config).startswith(told.replace("{}", str(config), 1))


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    assert refusal(path).startswith(f"The settings file {path} cannot be read: ")
    path.write_bytes(b"\xff\xfe\xff")
    assert refusal(path).startswith(f"The settings file {path} cannot be read: ")


def test_lists_stand_in_the_file_as_text_or_as_a_list(file: File) -> None:
    joined, _ = load(file("source: {allow_hosts: 'a.example,b.example'}"), {}, {})
    listed, _ = load(file("source: {allow_hosts: [a.example, b.example]}"), {}, {})
    assert joined == listed
    assert listed.source.allow_hosts == ("a.example", "b.example")


def test_a_list_in_the_file_is_lower_cased_as_joined_text_is(file: File) -> None:
    settings, _ = load(file("source: {allow_hosts: [A.example]}"), {}, {})
    assert settings.source.allow_hosts == ("a.example",)


@pytest.mark.parametrize("size", [100, "100"])
def test_a_bare_number_for_the_size_is_a_count_and_is_told(size: int | str, file: File) -> None:
    environ = {} if isinstance(size, int) else {"CACHE_SIZE": size}
    settings, notes = load(file(f"cache: {{size: {size}}}"), environ, {})
    assert (settings.cache.entries, settings.cache.size) == (100, Settings().cache.size)
    assert len(notes) == 1
    assert "CACHE_ENTRIES" in notes[0]


def test_a_count_of_its_own_goes_before_a_bare_number_for_the_size() -> None:
    settings, _ = load(None, {"CACHE_SIZE": "100", "CACHE_ENTRIES": "7"}, {})
    assert settings.cache.entries == 7


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().proxy.port = 1  # type: ignore[misc] # it is the very point


def test_there_is_a_core_to_work_on() -> None:
    assert cores() >= 1
