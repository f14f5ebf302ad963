"""
What a request costs over a kept connection beside one over a connection of its own, and what a client costs.

The requests go to a server on this machine, over TLS and plain, one, five and twenty at a time. Both ways alternate in
one run, so that their ratio holds on any machine. A network in between makes the difference larger: a new connection
takes two round trips more, with TLS three.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from airflow_openai_realtime.api import client, network
from airflow_openai_realtime.api.request import Answer, Policy, Request, Service
from bench.figures import medians

RUNS = 5
REQUESTS = 200
AT_ONCE = (1, 5, 20)

_SERVER = """
import asyncio, ssl, sys

ANSWER = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: 2\\r\\n\\r\\n{}"

async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            length = [int(line.split(b":")[1]) for line in head.lower().split(b"\\r\\n") if b"content-length" in line]
            await reader.readexactly(length[0] if length else 0)
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()

async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    servers = [await asyncio.start_server(serve, "127.0.0.1", 0, ssl=each, backlog=512) for each in (None, context)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))

asyncio.run(main())
"""


def measure() -> dict[str, float]:
    """Milliseconds a request, their ratio, and what making clients costs."""
    with _server() as (plain, secure):
        rows = []
        for _ in range(RUNS):
            row: dict[str, float] = {}
            for name, url in (("tls", secure), ("plain", plain)):
                for at_once in AT_ONCE:
                    kept = asyncio.run(_milliseconds(url, at_once, keep=True))
                    own = asyncio.run(_milliseconds(url, at_once, keep=False))
                    row[f"connections_{name}_{at_once}_kept_ms"] = kept
                    row[f"connections_{name}_{at_once}_own_ms"] = own
                    row[f"connections_{name}_{at_once}_kept_share"] = kept / own
            rows.append(row)
    return medians(rows) | _cost_of_clients()


async def _milliseconds(url: str, at_once: int, *, keep: bool) -> float:
    """From asking to the answer, divided by the number of requests, so many at a time."""
    request: Request[int] = Request(
        "peer",
        "bench",
        "POST",
        "/",
        _status,
        _failed,
        Policy(1, 0.0, frozenset()),
        body={"call_id": "rtc_1"},
        headers={} if keep else {"Connection": "close"},
    )
    async with client.Client(Service("peer", url, {}, ())) as sender:

        async def ask(count: int) -> None:
            for _ in range(count):
                await sender.asend(request)

        await ask(2)
        began = time.perf_counter()
        await asyncio.gather(*(ask(REQUESTS // at_once) for _ in range(at_once)))
        return (time.perf_counter() - began) * 1000 / REQUESTS


def _status(_: object, answer: Answer) -> int:
    return answer.status_code


def _failed(_: object, lost: object) -> Exception:
    return AssertionError(lost)


def _cost_of_clients() -> dict[str, float]:
    """Milliseconds for the TLS settings of a process, and for a client that finds them made."""
    settings, made = [], []
    for _ in range(RUNS):
        network._tls_context.cache_clear()
        began = time.perf_counter()
        network.tls_context()
        settings.append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        asyncio.run(_enter("https://127.0.0.1"))
        made.append((time.perf_counter() - began) * 1000)
    return {"client_tls_settings_ms": median(settings), "client_with_settings_made_ms": median(made)}


async def _enter(url: str) -> None:
    async with client.Client(Service("peer", url, {}, ())):
        pass


@contextmanager
def _server() -> Iterator[tuple[str, str]]:
    """A server that answers at once; its certificate is trusted."""
    with tempfile.TemporaryDirectory() as folder:
        certificate = _certificate(Path(folder))
        process = subprocess.Popen([sys.executable, "-c", _SERVER, str(certificate)], stdout=subprocess.PIPE, text=True)
        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = str(certificate)
        try:
            assert process.stdout is not None
            plain, secure = process.stdout.readline().split()
            yield f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{secure}"
        finally:
            process.kill()
            process.wait()
            os.environ.pop("SSL_CERT_FILE")
            if before is not None:
                os.environ["SSL_CERT_FILE"] = before


def _certificate(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1, signed by itself."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "peer.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return path
