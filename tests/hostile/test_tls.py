"""Origins behind TLS: believed if somebody whom we know vouches for them, and otherwise not."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.hostile.cases.base import PHOTO, shows
from tests.support.rude_origin import RudeOrigins
from tests.support.service import StartService


def certificate(directory: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate that vouches for itself; give it with what a server needs."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is missing: apt-get install openssl")
    files = directory / f"{name}.crt", directory / f"{name}.key"
    subprocess.run(
        [openssl, "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=h",
         "-addext", f"subjectAltName=IP:{name}", "-out", files[0], "-keyout", files[1]],
        check=True,
        capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*files)
    return files[0], tls


def test_only_who_is_vouched_for_is_believed(start_service: StartService, tmp_path: Path) -> None:
    known, tls = certificate(tmp_path, "127.0.0.1")
    _, stranger = certificate(tmp_path, "127.0.0.9")
    trusting = start_service(SSL_CERT_FILE=str(known))
    with RudeOrigins({}) as origins:
        (good,) = origins.serve([shows(PHOTO)], tls)
        (bad,) = origins.serve([shows(PHOTO)], stranger)
        assert trusting.get(f"/fill/30/20/https://{good}/a").picture.size == (30, 20)
        answer = trusting.get(f"/fill/30/20/https://{bad}/a")
        assert answer.error == (502, "origin_failed")
        assert "certificate" in answer.problem["detail"]


def test_a_certificate_for_another_host_is_none(
    start_service: StartService, tmp_path: Path
) -> None:
    known, tls = certificate(tmp_path, "127.0.0.9")
    service = start_service(SSL_CERT_FILE=str(known))
    with RudeOrigins({}) as origins:
        (place,) = origins.serve([shows(PHOTO)], tls)
        answer = service.get(f"/fill/30/20/https://{place}/a")
    assert answer.error == (502, "origin_failed")
    assert "certificate" in answer.problem["detail"]
