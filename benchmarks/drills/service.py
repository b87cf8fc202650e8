"""A server in a process of its own, asked over HTTP: what a front end has of Murmeli, and nothing more."""

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import orjson

from benchmarks.measure import ROOT, key_to, print_table

TIMEOUT = 60
_JSON = {"content-type": "application/json"}


class Client:
    """One connection, kept open. What goes wrong on it is an OSError or an http.client.HTTPException."""

    def __init__(self, port: int, key: str) -> None:
        self._headers = _JSON | {"authorization": f"Bearer {key}"}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)

    def ask(self, method: str, path: str, body: object = None, query: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
        """The parsed answer. Raises RuntimeError where it is a problem document, which it tells."""
        status, content = self.answer(method, f"{path}?{urlencode(query)}" if query else path, body)
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {status} {content}")
        return content

    def answer(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """The status, and what was parsed, be it a problem document."""
        self._connection.request(method, path, None if body is None else orjson.dumps(body), self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.headers.get("content-type") not in ("application/json", "application/problem+json"):
            return answer.status, text.decode() or None
        return answer.status, orjson.loads(text)

    def text(self, path: str) -> str:
        """What a route answers that speaks no JSON."""
        self._connection.request("GET", path, headers=self._headers)
        return self._connection.getresponse().read().decode()

    def add(self, name: str, value: str) -> None:
        """Send this header from now on."""
        self._headers[name] = value

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class Service:
    """`murmeli serve` on a free port, ready when the block begins and killed when it ends.

    database: where the store lies, in the home where None. options: of the command. key: an admin's.
    ready: seconds from the start of the process to the first answer of /readyz.
    """

    def __init__(self, home: Path, database: str | None = None, *options: str) -> None:
        self._home, self._options = home, options
        self._environment = {**os.environ, **({"MURMELI_DATABASE": database} if database else {})}
        self.key = key_to(home, database)

    def __enter__(self) -> Self:
        started = time.perf_counter()
        self._log = open(self._home / "serve.log", "ab")
        command = [sys.executable, "-m", "murmeli", "serve", "--home", str(self._home), "--port", "0"]
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            [*command, *self._options],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        try:
            assert self._process.stdout  # noqa: S101 - asked for above
            line = self._process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if not found:
                raise RuntimeError(f"The server did not start; {self._home / 'serve.log'} says why.")
            self.port = int(found[1])
            client = self.client()
            client.ask("GET", "/readyz")
            client.close()
        except BaseException:
            self.kill()
            raise
        self.ready = time.perf_counter() - started
        return self

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def client(self) -> Client:
        """A new connection."""
        return Client(self.port, self.key)

    def pause(self) -> None:
        """SIGSTOP for it and its workers: connections are taken, and nothing is answered."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def kill(self) -> None:
        """SIGKILL for it and its workers, and wait until the process is gone."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._log.close()

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.kill()


def print_account(account: Mapping[str, object], as_json: bool) -> None:
    """What a drill found, for a machine or for a person."""
    if as_json:
        print(orjson.dumps(account, option=orjson.OPT_INDENT_2).decode())
        return
    words = {True: "yes", False: "no"}
    rows = [
        (name.replace("_", " "), words[value] if isinstance(value, bool) else value) for name, value in account.items()
    ]
    print_table(("what", "found"), rows)
