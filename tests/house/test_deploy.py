"""What is shipped for those who run it: nginx takes it, nothing runs with rights it does not need, and ports, limits,
settings and versions are those of the server."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chatsec import __version__, bootstrap, serve
from chatsec.domain.attachments import MAX_ATTACHMENT
from chatsec.rest import ops
from chatsec.rest.guard import MIB
from tests.house.sources import ROOT, name, tracked
from tests.house.test_tables import example
from tests.support.nginx import NginxProcess, command, self_signed

DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
OWN = f"chatsec:{__version__}"
PORT = "5001"
Json = dict[str, Any]


def text(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def compose() -> Json:
    made: Json = yaml.safe_load(text("docker-compose.yml"))
    return made


def manifests() -> Iterator[tuple[str, Json]]:
    for path in tracked(".yaml", under=("deploy/kubernetes/",)):
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            if path.name != "kustomization.yaml":
                yield f"{name(path)} {document['kind']}", document


def kustomizations() -> dict[str, Json]:
    paths = sorted(KUBERNETES.glob("*/kustomization.yaml"))
    return {path.parent.name: yaml.safe_load(path.read_text("utf-8")) for path in paths}


PODS = [
    pytest.param(document["spec"]["template"]["spec"], id=f"{document['metadata']['name']}")
    for _, document in manifests()
    if "template" in document.get("spec", {})
]
SERVICES = compose()["services"]


def seconds(value: str) -> float:
    """`60s` in seconds."""
    return float(value.removesuffix("s"))


# ---------------------------------------------------------------- nginx


def nginx(directive: str, where: str) -> list[str]:
    return re.findall(rf"^\s*{directive} ([^;]+);", text(f"deploy/nginx/{where}"), re.M)


@pytest.mark.parametrize("site", ["plain", "tls"])
def test_nginx_takes_its_configuration(tmp_path: Path, site: str) -> None:
    self_signed(tmp_path / "tls")
    words = NginxProcess(tmp_path, [5001, 5002], site).words("-t")
    result = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "[warn]" not in result.stderr.replace('"user" directive makes sense only', "")


def test_nginx_would_refuse_a_wrong_one(tmp_path: Path) -> None:
    words = NginxProcess(tmp_path, [5001]).words("-t")
    (tmp_path / "locations.conf").write_text("location / { proxy_pas http://workers; }")
    assert subprocess.run(words, capture_output=True, check=False, timeout=60).returncode != 0
    assert Path(command()).name == "nginx"


def test_nginx_s_limits_are_the_protocol_s() -> None:
    limits = ops.limits()
    assert nginx("client_max_body_size", "nginx.conf") == [f"{limits['keys_body'] // MIB}m"]
    assert nginx("client_max_body_size", "locations.conf") == [
        f"{serve.MAX_FRAME // 1024}k",
        f"{MAX_ATTACHMENT // MIB}m",
    ]
    for directive in ("proxy_read_timeout", "proxy_send_timeout", "send_timeout", "client_body_timeout"):
        (timeout,) = nginx(directive, "nginx.conf")
        assert seconds(timeout) > 2 * bootstrap.PING + 15
    idle = nginx("keepalive_timeout", "nginx.conf")[:2]  # of both upstreams
    assert all(seconds(timeout) < serve.SOCKET_TIMEOUT for timeout in idle) and len(idle) == 2


def test_nginx_knows_the_workers_of_compose() -> None:
    known = re.findall(r"^server (\w+):(\d+) resolve", text("deploy/nginx/workers.compose.conf"), re.M)
    assert known == [(one, PORT) for one in SERVICES if one.startswith("worker")]
    assert len(known) >= 3
    assert set(SERVICES["nginx"]["depends_on"]) == {one for one, _ in known}


# ---------------------------------------------------------------- images


def images() -> Iterator[tuple[str, str]]:
    for line in re.findall(r"^FROM (\S+)", text("deploy/Dockerfile"), re.M):
        yield "Dockerfile", line
    for service, made in SERVICES.items():
        yield service, made["image"]
    for where, document in manifests():
        for container in _containers(document):
            yield where, container["image"]


def _containers(document: Json) -> list[Json]:
    found: list[Json] = document.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    return found


def test_images_are_pinned() -> None:
    found = list(images())
    assert len(found) > 10
    for where, image in found:
        assert re.fullmatch(r"[a-z]+:\d[\w.-]*", image), f"{where}: {image}"
        assert image == OWN or not image.startswith("chatsec"), f"{where}: {image} is not {OWN}"
    assert kustomizations()["cluster"]["images"] == [{"name": "chatsec", "newTag": __version__}]
    assert OWN in text("deploy/Dockerfile")


def test_the_image_runs_as_nobody_and_holds_nothing_else() -> None:
    dockerfile = text("deploy/Dockerfile")
    last = dockerfile[dockerfile.rindex("\nFROM ") :]
    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", last, re.M)
    assert re.search(rf"^EXPOSE {PORT}$", last, re.M) and f"PORT={PORT}" in last
    assert "HEALTHCHECK" in last and "/healthz" in last
    assert re.findall(r"^(?:COPY|ADD) (.*)", last, re.M) == ["--from=server /opt/chatsec /opt/chatsec"]
    pythons = set(re.findall(r"^FROM (python:\S+)", dockerfile, re.M))
    assert len(pythons) == 1, "built for one Python, run by another"
    assert not re.search(r"^ARG|SECRET|PASSWORD|TOKEN", dockerfile, re.M)


def test_the_image_is_made_of_what_is_named() -> None:
    """ASVS 13.4.1."""
    first, *kept = [line for line in text(".dockerignore").splitlines() if line and not line.startswith("#")]
    assert first == "*"
    named = [line[1:] for line in kept if line.startswith("!")]
    assert all((ROOT / path).exists() for path in named)
    context = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)", text("deploy/Dockerfile"), re.M)
        for source in line.split()[:-1]
    ]
    assert all(source.rstrip("/").startswith(tuple(named)) for source in context)
    assert not {"data", ".env", "tests", "backend", "."} & set(named)


# ---------------------------------------------------------------- rights


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_of_compose_has_no_right_too_many(service: str) -> None:
    made = SERVICES[service]
    assert made["cap_drop"] == ["ALL"] and made["security_opt"] == ["no-new-privileges:true"]
    assert made.get("read_only") or service == "mongo"
    assert made["image"] == OWN or re.fullmatch(r"[1-9]\d*:[1-9]\d*", made["user"])
    assert "privileged" not in made and "docker.sock" not in str(made)


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_has_no_right_too_many(pod: Json) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False and context["capabilities"] == {"drop": ["ALL"]}
        assert context.get("readOnlyRootFilesystem") or container["name"] == "mongo"
        assert "memory" in container["resources"]["limits"] and "cpu" in container["resources"]["requests"]


def test_the_stores_are_for_the_workers_alone() -> None:
    made = compose()
    assert made["networks"]["back"] == {"internal": True}
    for store in ("mongo", "redis"):
        assert SERVICES[store]["networks"] == ["back"] and "ports" not in SERVICES[store]
    assert SERVICES["nginx"]["networks"] == ["front"]
    policies = [made["spec"] for _, made in manifests() if made["kind"] == "NetworkPolicy"]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies


def test_nothing_listens_to_the_world_unasked() -> None:
    published = [port for made in SERVICES.values() for port in made.get("ports", [])]
    assert all(port.startswith("${BIND:-127.0.0.1}:") for port in published)
    outside = [
        re.sub(r"\$\{\w+:-(\w+)\}", r"\1", port.removeprefix("${BIND:-127.0.0.1}:")) for port in published
    ]
    ports = [port.split(":")[0] for port in outside]
    assert len(ports) == len(set(ports)) == 3, "two shapes want the same port"


# ---------------------------------------------------------------- settings


def test_settings_are_the_server_s() -> None:
    named = {key for made in SERVICES.values() if made["image"] == OWN for key in made["environment"]}
    for made in kustomizations().values():
        for generator in (*made.get("configMapGenerator", []), *made.get("secretGenerator", [])):
            named |= {literal.split("=")[0] for literal in generator.get("literals", [])}
    named |= set(re.findall(r"^(\w+)=", text("deploy/kubernetes/cluster/secret.env.example"), re.M))
    assert {"SECRET_KEY", "MONGO_URI", "REDIS_URL", "TRUSTED_PROXIES", "DATA_DIR"} <= named
    assert named <= set(example())


def test_what_compose_asks_for_is_explained() -> None:
    asked = set(re.findall(r"\$\{(\w+)", text("docker-compose.yml")))
    page = text("docs/deployment.md")
    assert asked and [one for one in sorted(asked) if f"`{one}`" not in page] == []


def test_workers_have_no_secret_by_default() -> None:
    for where in ("docker-compose.yml", "deploy/kubernetes/base/kustomization.yaml"):
        assert not re.search(r"(SECRET_KEY|PASSWORD)[=:] *[\w-]{8}", text(where)), where
    assert "secret.env" in text("deploy/kubernetes/cluster/.gitignore")


# ---------------------------------------------------------------- Kubernetes


def test_manifests_belong_together() -> None:
    for folder, made in kustomizations().items():
        for resource in made["resources"]:
            assert (KUBERNETES / folder / resource).exists(), f"{folder}: {resource}"
    labels = [made["spec"]["template"]["metadata"]["labels"] for _, made in manifests() if _containers(made)]
    for where, made in manifests():
        selector = made.get("spec", {}).get("selector", {})
        selector = selector.get("matchLabels", selector)
        assert not selector or selector in labels, where


def test_kubernetes_knows_the_server_s_doors() -> None:
    (pod,) = [
        made["spec"]["template"]["spec"] for where, made in manifests() if "workers.yaml Deploy" in where
    ]
    (server,) = pod["containers"]
    assert server["ports"] == [{"name": "http", "containerPort": int(PORT)}]
    paths = {kind: server[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    assert pod["terminationGracePeriodSeconds"] > 5 + bootstrap.GOODBYE
    closed = {
        path["path"]
        for _, made in manifests()
        if made["kind"] == "Ingress" and made["metadata"]["name"] == "chatsec-closed"
        for path in made["spec"]["rules"][0]["http"]["paths"]
    }
    assert closed == {"/metrics", "/readyz"}


def test_the_ingress_is_as_the_proxy() -> None:
    (made,) = [
        made["metadata"]["annotations"]
        for _, made in manifests()
        if made["kind"] == "Ingress" and made["metadata"]["name"] == "chatsec"
    ]
    said = {key.removeprefix("nginx.ingress.kubernetes.io/"): value for key, value in made.items()}
    assert said["affinity"] == "cookie" and said["session-cookie-path"] == "/socket.io/"
    assert said["proxy-body-size"] == f"{MAX_ATTACHMENT // MIB}m"
    assert f"{said['proxy-read-timeout']}s" in nginx("proxy_read_timeout", "nginx.conf")


# ---------------------------------------------------------------- the picture


def test_the_picture_is_of_its_source() -> None:
    """Else: `python docs/draw.py`."""
    digest = hashlib.sha256((ROOT / "docs" / "infrastructure.dot").read_bytes()).hexdigest()
    assert f"made of infrastructure.dot, sha256 {digest}" in text("docs/infrastructure.svg")


def test_links_of_the_page_lead_somewhere() -> None:
    page = text("docs/deployment.md")
    anchors = {
        re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in re.findall(r"^#+ (.*)", page, re.M)
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", page):
        found = target[1:] in anchors if target.startswith("#") else (ROOT / "docs" / target).exists()
        assert found, target
