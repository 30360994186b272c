"""What deploy/ says of micropic is so, and what it hands to a cluster is well-formed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml
from pydantic import ByteSize, TypeAdapter

from micropic.adapters import address_guard
from micropic.cli import app
from micropic.services.health import Health, health_routes
from micropic.settings import Settings, knobs, load
from scripts.readme_tables import commands_of

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
BASE = KUBERNETES / "base"
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
DEFAULTS = Settings()
HEALTH_PORT = DEFAULTS.health.port
LISTENS_ON = {
    "serve": {DEFAULTS.proxy.port, HEALTH_PORT},
    "proxy": {DEFAULTS.proxy.port, HEALTH_PORT},
    "previewer": {HEALTH_PORT},
    "cache": {DEFAULTS.grpc.port, HEALTH_PORT},
}
COMMANDS = {name for name, _ in commands_of(typer.main.get_command(app))}
_EXTENSIONS = {"keda.sh/v1alpha1"}
"""Kinds that a cluster learns from others: their schemas are not Kubernetes' own."""

Tree = dict[str, Any]


def bytes_of(text: str) -> int:
    """Read 512Mi and 8GiB alike."""
    return TypeAdapter(ByteSize).validate_python(re.sub("i$", "iB", text))


def read(path: Path) -> list[Tree]:
    return list(yaml.safe_load_all(path.read_text()))


def manifests(folder: Path) -> Iterator[Tree]:
    for path in sorted(folder.rglob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from read(path)


def generated(folder: Path) -> dict[str, dict[str, str]]:
    """Give what the ConfigMaps that kustomize makes hold, by name."""
    (kustomization,) = read(folder / "kustomization.yaml")
    return {
        config["name"]: dict(literal.split("=", 1) for literal in config["literals"])
        for config in kustomization.get("configMapGenerator", [])
    }


RESOURCES = list(manifests(KUBERNETES))
PODS: dict[str, Tree] = {
    resource["metadata"]["name"]: resource["spec"]["template"]
    for resource in RESOURCES
    if resource["kind"] in {"Deployment", "StatefulSet"}
}
(COMPOSE,) = read(DEPLOY / "compose.yaml")


@dataclass(frozen=True)
class Deployed:
    """A container of micropic, in compose or in Kubernetes."""

    where: str
    command: str
    environment: dict[str, str]

    def settings(self) -> Settings:
        """Give its settings as it would read them."""
        return load(None, self.environment, {})[0]


def in_compose() -> Iterator[Deployed]:
    """Give ours, with no variable set in the environment of who starts them."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", json.dumps(COMPOSE["services"]))
    for name, service in json.loads(text).items():
        if service["image"].startswith("micropic:"):
            (command,) = service["command"]
            yield Deployed(f"compose, {name}", command, service.get("environment", {}))


def in_kubernetes(overlay: str) -> Iterator[Deployed]:
    """Give ours, with what kustomize adds to the environment; secrets are `secret`."""
    config = generated(BASE)
    for name, literals in generated(KUBERNETES / "overlays" / overlay).items():
        config[name] |= literals
    for name, pod in PODS.items():
        (container,) = pod["spec"]["containers"]
        if container["image"] != "micropic":
            continue
        (command,) = container["args"]
        environment: dict[str, str] = {}
        for source in container["envFrom"]:
            environment |= (
                config[source["configMapRef"]["name"]] if "configMapRef" in source else {}
            )
        environment |= {item["name"]: item.get("value", "secret") for item in container["env"]}
        yield Deployed(f"{overlay}, {name}", command, environment)


DEPLOYED = [*in_compose(), *(one for overlay in OVERLAYS for one in in_kubernetes(overlay))]


def of_kind(kind: str) -> list[Tree]:
    return [resource for resource in RESOURCES if resource["kind"] == kind]


def container_of(pod: str) -> Tree:
    container: Tree = PODS[pod]["spec"]["containers"][0]
    return container


def test_every_shape_has_all_its_services() -> None:
    for place in ("compose", *OVERLAYS):
        commands = {one.command for one in DEPLOYED if one.where.startswith(place)}
        assert commands == {"proxy", "previewer", "cache"}


@pytest.mark.parametrize("deployed", DEPLOYED, ids=lambda one: one.where)
def test_every_command_and_setting_exists_and_is_allowed(deployed: Deployed) -> None:
    assert f"micropic {deployed.command}" in COMMANDS
    assert set(deployed.environment) <= {knob.environment for knob in knobs()}
    deployed.settings()


@pytest.mark.parametrize("deployed", DEPLOYED, ids=lambda one: one.where)
def test_the_others_are_looked_for_where_they_are(deployed: Deployed) -> None:
    services = {service["metadata"]["name"] for service in of_kind("Service")}
    hosts = COMPOSE["services"] if deployed.where.startswith("compose") else services
    settings = deployed.settings()
    if deployed.command == "cache":
        assert settings.grpc.host == DEFAULTS.grpc.host  # what it listens on
    else:
        assert {settings.amqp.host, settings.grpc.host} <= set(hosts)


@pytest.mark.parametrize("name", list(PODS))
def test_every_pod_is_confined(name: str) -> None:
    pod = PODS[name]["spec"]
    # Variables named after Services would be taken for settings: CACHE_PORT, PROXY_PORT.
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} <= set(container["resources"])
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


@pytest.mark.parametrize("name", list(COMPOSE["services"]))
def test_every_service_of_compose_is_confined(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", ["proxy", "previewer", "cache"])
def test_ports_and_probes_are_those_of_the_service(name: str) -> None:
    container = container_of(name)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert set(ports.values()) == LISTENS_ON[container["args"][0]]
    paths = {route.path for route in health_routes(Health({}))}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in paths
        assert ports[asked["port"]] == HEALTH_PORT


def test_services_and_the_ingress_lead_somewhere() -> None:
    services = {service["metadata"]["name"]: service["spec"] for service in of_kind("Service")}
    for service in services.values():
        pod = PODS[service["selector"]["app.kubernetes.io/name"]]
        names = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["ports"]} <= names
    for ingress in of_kind("Ingress"):
        backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
        names = {port["name"] for port in services[backend["name"]]["ports"]}
        assert backend["port"]["name"] in names


def test_all_that_selects_pods_selects_some() -> None:
    for pod in PODS.values():
        assert set(pod["metadata"]["labels"]) == {"app.kubernetes.io/name"}
    text = json.dumps(
        [r for r in RESOURCES if r["kind"] in {"NetworkPolicy", "PodDisruptionBudget"}]
    )
    assert set(re.findall(r'"app.kubernetes.io/name": "(\w+)"', text)) <= set(PODS)
    assert set(re.findall(r'"values": (\[.*?\])', text)) == {'["proxy", "previewer"]'}


def test_previewers_reach_what_micropic_may_dial_and_nothing_else() -> None:
    (policy,) = [p for p in of_kind("NetworkPolicy") if p["metadata"]["name"] == "sources"]
    blocks = [to["ipBlock"] for to in policy["spec"]["egress"][0]["to"]]
    assert {block["cidr"]: set(block["except"]) for block in blocks} == {
        "0.0.0.0/0": set(map(str, address_guard._REFUSED_IPV4)),
        str(address_guard._GLOBAL_IPV6): set(map(str, address_guard._REFUSED_IPV6)),
    }
    selected = {p["metadata"]["name"]: p["spec"]["podSelector"] for p in of_kind("NetworkPolicy")}
    assert selected["nothing"] == {}


def test_the_previewers_of_compose_may_dial_the_pictures_alone() -> None:
    pictures = COMPOSE["services"]["pictures"]["networks"]["pictures"]["ipv4_address"]
    (previewer,) = [one for one in in_compose() if one.command == "previewer"]
    assert previewer.environment["SOURCE_ALLOW_NETWORKS"] == f"{pictures}/32"


@pytest.mark.parametrize("deployed", [*in_kubernetes("production")], ids=lambda one: one.where)
def test_limits_leave_room_for_what_the_settings_allow(deployed: Deployed) -> None:
    limits = container_of(deployed.command)["resources"]["limits"]
    render, cache = deployed.settings().render, deployed.settings().cache
    if deployed.command == "previewer":
        # Not counted by the cores, which are those of the whole node.
        assert render.slots > 0
        assert bytes_of(limits["memory"]) >= render.slots * render.max_memory + bytes_of("512Mi")
    elif deployed.command == "proxy":
        assert bytes_of(limits["memory"]) >= 4 * cache.memory
    else:
        (stateful,) = [r for r in of_kind("StatefulSet") if r["metadata"]["name"] == "cache"]
        (claim,) = stateful["spec"]["volumeClaimTemplates"]
        volume = bytes_of(claim["spec"]["resources"]["requests"]["storage"])
        (mount,) = container_of("cache")["volumeMounts"]
        assert volume * 0.85 >= cache.size
        assert cache.dirname.is_relative_to(mount["mountPath"])


def test_production_counts_previewers_by_the_queue_that_there_is() -> None:
    (scaled,) = of_kind("ScaledObject")
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["queueName"] == DEFAULTS.amqp.queue
    assert scaled["spec"]["scaleTargetRef"]["name"] in PODS
    for name in ("previewer", "proxy"):  # else each `apply` would undo the scaling
        (deployment,) = [r for r in of_kind("Deployment") if r["metadata"]["name"] == name]
        assert "replicas" not in deployment["spec"]


def test_the_image_runs_what_there_is() -> None:
    text = (DEPLOY / "docker" / "Dockerfile").read_text().replace("\\\n", " ")
    told = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
    assert json.loads(told["ENTRYPOINT"]) == ["micropic"]
    (command,) = json.loads(told["CMD"])
    assert command in LISTENS_ON
    assert set(map(int, told["EXPOSE"].split())) == set.union(*LISTENS_ON.values())
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", told["USER"])
    check = json.loads(told["HEALTHCHECK"].partition("CMD ")[2])
    assert check[-1] == f"http://127.0.0.1:{HEALTH_PORT}/readyz"
    environment = dict(re.findall(r"([A-Z_]+)=(\S+)", told["ENV"]))
    assert f"-o {told['USER'].partition(':')[0]} " in told["RUN"]
    for directory in (told["RUN"].split()[-1], COMPOSE["services"]["cache"]["volumes"][0][6:]):
        assert directory == environment["CACHE_DIRNAME"]


@pytest.mark.parametrize(
    ("path", "least"),
    [("deploy/docker/Dockerfile", 4), ("Makefile", 1), ("scripts/stand_in_images", 1)],
)
def test_nothing_is_built_with_what_no_hash_is_known_of(path: str, least: int) -> None:
    """Pip would fetch build backends into an isolation of their own, whatever --require-hashes."""
    text = (DEPLOY.parent / path).read_text().replace("\\\n", " ")
    for name in re.findall(r"^(\w+) := ", text, re.MULTILINE):  # make's variables
        value = re.search(rf"^{name} := (.*)$", text, re.MULTILINE)
        assert value
        text = text.replace(f"$({name})", value[1])
    text = re.sub(r"^\w+ := .*$", "", text, flags=re.MULTILINE)
    commands = re.findall(r"(?:bin/pip\"?|-m build) [^&\n]*", text)
    fetching = [
        each for each in commands
        if re.search(r"pip\"? (?:install|wheel|download)", each) and "podman-compose" not in each
    ]  # fmt: skip
    assert len(fetching) >= least
    for command in fetching:
        assert "--require-hashes" in command or "--no-index" in command or "--no-deps" in command, (
            command
        )
        # What builds the rest is wheels alone.
        assert (
            "build.txt" in command or "--no-build-isolation" in command or ("--no-index" in command)
        ), command
    assert all("--no-isolation" in each for each in commands if each.startswith("-m build"))


def test_build_backends_are_locked_as_pyproject_names_them() -> None:
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())
    named = {re.split(r"[^\w-]", each)[0] for each in project["dependency-groups"]["build"]}
    backends = {re.split(r"[^\w-]", each)[0] for each in project["build-system"]["requires"]}
    assert backends <= named <= locked("build") <= locked("development")


def test_every_image_of_others_can_be_named_by_its_digest() -> None:
    """By an argument, a variable or kustomize; a digest that is written down here is made up."""
    dockerfile = (DEPLOY / "docker" / "Dockerfile").read_text()
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${BASE_IMAGE}"}
    assert re.search(r"^ARG BASE_IMAGE=\S+:\S+$", dockerfile, re.MULTILINE)
    for name, service in COMPOSE["services"].items():
        assert re.fullmatch(r"\$\{\w*IMAGE:-\S+\}", service["image"]), name
    (base,) = read(BASE / "kustomization.yaml")
    images = {image["name"] for image in base["images"]} | {"micropic"}
    assert {c["image"] for pod in PODS.values() for c in pod["spec"]["containers"]} <= images
    assert not [path for path in DEPLOY.rglob("*.*") if re.search(
        r"sha256:[0-9a-f]{64}", path.read_text())]  # fmt: skip


def test_hadolint_has_nothing_to_say_of_the_dockerfile() -> None:
    hadolint = tool("hadolint")
    if hadolint is None:
        pytest.skip("there is no hadolint for this platform")
    linted = subprocess.run(
        [hadolint, str(DEPLOY / "docker" / "Dockerfile")],
        capture_output=True,
        check=False,
        text=True,
    )
    assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")


@pytest.mark.parametrize(
    ("target", "lacks"),
    [
        ("build", "It takes docker or podman, and none runs here"),
        ("run", "It takes docker or podman, and none runs here"),
        ("down", "It takes docker or podman, and none runs here"),
        ("push", "It takes docker or podman, and none runs here"),
        ("scale-up", "It takes docker or podman, and none runs here"),
        ("scale-up ENGINE=podman", "It takes podman-compose, which is not installed"),
        ("scale-up ENGINE=docker", "It takes docker compose, which is not installed"),
        ("scale-down", "It takes docker or podman, and none runs here"),
        ("kube-up", "It takes kubectl, which is not installed"),
        ("kube-down", "It takes kubectl, which is not installed"),
    ],
)
def test_what_a_target_lacks_is_one_line(tmp_path: Path, target: str, lacks: str) -> None:
    make = shutil.which("make")
    assert make
    done = subprocess.run(
        [make, "--silent", *target.split()],
        cwd=DEPLOY.parent,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert lacks in line


def locked(name: str) -> set[str]:
    """Give the packages of a lock file."""
    text = (DEPLOY.parent / "requirements" / f"{name}.txt").read_text()
    return set(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==", text, re.MULTILINE))


def test_the_image_has_all_extras_but_faces_and_the_embedded_service_none() -> None:
    text = (DEPLOY / "docker" / "Dockerfile").read_text()
    of_extras: defaultdict[str, set[str]] = defaultdict(set)
    for line in requires("micropic") or []:
        if found := re.match(r"([\w-]+).*extra == '(\w+)'", line):
            of_extras[found[2]].add(found[1])
    assert of_extras.keys() == {"distributed", "faces", "otel", "redis", "s3"}
    faces, others = of_extras.pop("faces"), set.union(*of_extras.values())
    assert "ARG REQUIREMENTS=image\n" in text
    assert others <= locked("image")
    assert others | faces <= locked("faces")
    assert not locked("image") & faces
    assert not locked("runtime") & (others | faces)


def test_no_secret_is_kept_but_that_of_a_cluster_of_ones_own() -> None:
    assert not of_kind("Secret")
    (production,) = read(KUBERNETES / "overlays" / "production" / "kustomization.yaml")
    assert "secretGenerator" not in production


@pytest.mark.parametrize("name", OVERLAYS)
def test_overlays_are_what_kubernetes_takes(name: str) -> None:
    builder = kustomize()
    if builder is None:
        pytest.skip("neither kustomize nor kubectl is installed")
    built = subprocess.run(
        [*builder, str(KUBERNETES / "overlays" / name)], capture_output=True, check=True, text=True
    )
    check_schemas(yaml.safe_load_all(built.stdout))


def test_manifests_are_what_kubernetes_takes() -> None:
    check_schemas(iter(RESOURCES))


def kustomize() -> list[str] | None:
    if found := tool("kustomize"):
        return [found, "build"]
    found = tool("kubectl")
    return [found, "kustomize"] if found else None


def tool(name: str) -> str | None:
    """Find a program, first among those of this environment."""
    return shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


def check_schemas(resources: Iterator[Tree]) -> None:
    for resource in resources:
        if resource["apiVersion"] not in _EXTENSIONS:
            kubernetes_validate.validate(resource, "1.31", strict=True)
