"""nginx with the configuration that is shipped, on ports of loopback: only what names a place is another."""

from __future__ import annotations

import datetime
import ipaddress
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.ports import free_port
from tests.support.server import ROOT

SHIPPED = ROOT / "deploy" / "nginx"
START_SECONDS = 20
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def command() -> str:
    """The program, which is not on everybody's PATH."""
    found = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if found is None:
        raise RuntimeError("no nginx for the tests: install nginx")
    return found


class NginxProcess:
    """`site` is plain or tls; `balancer` is who may say for whom it speaks."""

    def __init__(
        self, folder: Path, workers: Iterable[int], site: str = "plain", balancer: str = "127.0.0.9"
    ) -> None:
        self._folder = folder
        self.port, self.tls_port = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.tls_port}" if site == "tls" else f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self._write(list(workers), site, balancer)

    def _write(self, workers: list[int], site: str, balancer: str) -> None:
        places = "".join(f"{name}_temp_path {self._folder}/{name}; " for name in TEMPORARY)
        whole = (SHIPPED / "nginx.conf").read_text("utf-8").replace("/var/log/nginx", str(self._folder))
        whole = re.sub(r"^worker_processes .*", "worker_processes 1;", whole, flags=re.M)
        whole = re.sub(r"^worker_rlimit_nofile .*", "", whole, flags=re.M)
        whole = re.sub(r"worker_connections \d+", "worker_connections 2048", whole)
        self._put("nginx.conf", whole.replace("http {", f"http {{ {places}", 1))
        text = (SHIPPED / f"{site}.conf").read_text("utf-8")
        text = text.replace("listen 80;", f"listen 127.0.0.1:{self.port};")
        text = text.replace("listen 443 ", f"listen 127.0.0.1:{self.tls_port} ")
        self._put("site.conf", text.replace("set_real_ip_from 127.0.0.1", f"set_real_ip_from {balancer}"))
        self._put("locations.conf", (SHIPPED / "locations.conf").read_text("utf-8"))
        self._put("workers.conf", "".join(f"server 127.0.0.1:{port} fail_timeout=1s;\n" for port in workers))

    def _put(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text, "utf-8")

    def words(self, *more: str) -> list[str]:
        """The command line."""
        user = "user root; " if os.geteuid() == 0 else ""  # else it may not enter a test's folder
        directives = f"{user}daemon off; pid {self._folder}/nginx.pid;"
        where = ["-p", str(self._folder), "-c", str(self._folder / "nginx.conf")]
        return [command(), *where, "-e", str(self._folder / "error.log"), "-g", directives, *more]

    def start(self) -> NginxProcess:
        self.process = subprocess.Popen(self.words(), stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
                return self
            except ConnectionRefusedError:
                time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"nginx did not start:\n{self.log('error')}")

    def log(self, name: str = "access") -> str:
        path = self._folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            os.killpg(self.process.pid, how)
        self.process.wait(START_SECONDS)

    def __enter__(self) -> NginxProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def self_signed(folder: Path) -> Path:
    """A certificate for 127.0.0.1, with its key beside it."""
    folder.mkdir()
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "chat")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    signed = made.add_extension(names, False).sign(key, hashes.SHA256())
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (folder / "fullchain.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return folder / "fullchain.pem"
