"""`python -m benchmarks.play_latency [--rounds 10]`: from the POST of a piece to its first notes, with a real server.

The server of `pianogen play` runs in a process of its own with the pretrained model. Each piece is asked for alone, and
while fifteen others are made; from nothing, and after a prompt of a hundred notes, whose own notes do not count.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

OTHERS = 15
_LONG = {"tokens": 4096, "min_tokens": 4096}
_PROMPT = {"notes": [[2 * i, 2, 48 + 7 * i % 36] for i in range(100)]}


def main() -> None:
    """Print the median, quartiles and maximum of each case, in milliseconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.play_latency", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    with _server() as port:
        first_notes(port, 1, None)  # of a server that has just started
        for others in (0, OTHERS):
            with _visitors(port, others):
                for name, prompt in (("from nothing", None), ("100 notes", _PROMPT)):
                    taken = [1000 * first_notes(port, 1000 + seed, prompt) for seed in range(rounds)]
                    low, median, high = np.percentile(taken, [25, 50, 75])
                    spread = f"({low:.0f} to {high:.0f}, at most {max(taken):.0f})"
                    print(f"{others:2d} others, {name}: {median:.0f} ms {spread}", flush=True)


def first_notes(port: int, seed: int, prompt: dict[str, Any] | None) -> float:
    """Seconds from the request to the first event with notes that the model wrote."""
    began = time.perf_counter()
    made = _json(port, "POST", "/api/pieces", {"seed": seed, "prompt": prompt, "num_tokens": 400})
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", made["events"])
    for line in connection.getresponse():
        if line.startswith(b"data:") and json.loads(line[5:]).get("prompt") is False:
            taken = time.perf_counter() - began
            connection.close()
            _json(port, "DELETE", f"/api/pieces/{made['id']}")
            return taken
    raise RuntimeError("the piece has no notes")


def _json(port: int, method: str, path: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"content-type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status >= 400:
        raise RuntimeError(f"{answer.status} {text.decode()}")
    return json.loads(text) if text else None


@contextmanager
def _visitors(port: int, others: int) -> Iterator[None]:
    """Let others listen to long pieces, one after the other, inside the `with` block."""
    is_over = threading.Event()
    threads = [threading.Thread(target=_listen, args=(port, number, is_over)) for number in range(others)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(others and 2)  # until they all are served
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def _listen(port: int, number: int, is_over: threading.Event) -> None:
    seed = 10_000 * number
    while not is_over.is_set():
        seed += 1
        made = _json(port, "POST", "/api/pieces", {"seed": seed, "prompt": None, **_LONG})
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", made["events"])
        for _ in connection.getresponse():
            if is_over.is_set():
                break
        connection.close()


@contextmanager
def _server() -> Iterator[int]:
    command = [sys.executable, "-m", "pianogen", "play", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"}) as server:
        assert server.stderr
        try:
            line = server.stderr.readline()
            port = int(line.split("127.0.0.1:")[1].split("/")[0])
            _json(port, "GET", "/api/models")  # it answers
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", "/api/sound.js")  # made when the server starts, on one of its cores
            connection.getresponse().read()
            yield port
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
