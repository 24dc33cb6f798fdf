"""What the tests of other programs' clients share: their Python packages, and a wire to the bridge on which all that it says is checked."""
import contextlib
import functools
import importlib.util
import json
import os
import socket
import sys
import threading

from bridge import Bridge
from mount import Mount

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import openai_schema


def need(*modules):
    """Goes on where these can be imported: here, or in the virtual environment of tools/packages.sh. Else a visible skip."""
    try:
        for module in modules:
            importlib.import_module(module)
    except ImportError as error:
        python = os.environ.get("TOKFS_TEST_PYTHON", "")
        if os.access(python, os.X_OK) and os.path.dirname(os.path.dirname(python)) != sys.prefix:
            os.execv(python, [python, "-B", *sys.argv])
        print(f"skipped: {error}")
        sys.exit(77)


# ---- HTTP, as far as the bridge and its clients speak it --------------------------------------------------------------------


def take_chunked(data):
    """The body and what follows it; None where it is not whole."""
    body = b""
    while True:
        size, found, rest = data.partition(b"\r\n")
        if not found:
            return None
        n = int(size.split(b";")[0], 16)
        if n == 0:
            _, found, rest = data.partition(b"\r\n\r\n")
            return (body, rest) if found else None
        if len(rest) < n + 2:
            return None
        body, data = body + rest[:n], rest[n + 2:]


def take_message(data, has_body=True):
    """First line, headers, body and what follows; None where it is not whole."""
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if has_body and headers.get("transfer-encoding") == "chunked":
        body = take_chunked(rest)
        return body and (first, headers, *body)
    n = int(headers.get("content-length", 0)) if has_body else 0
    return (first, headers, rest[:n], rest[n:]) if len(rest) >= n else None


def exchanges(sent, got):
    """The requests of a connection with their whole answers: (method, path, status, headers, body)."""
    while (request := take_message(sent)) is not None:
        first, _, _, sent = request
        method, path, _ = first.split(" ")
        while True:
            answer = take_message(got, has_body=method != "HEAD")
            if answer is None:
                return
            first, headers, body, got = answer
            status = int(first.split(" ")[1])
            if status >= 200:
                break
        yield method, path, status, headers, body


# ---- OpenAI's schema ------------------------------------------------------------------------------------------------------

NAMES = {  # by path: of a whole answer, of a streamed event
    "/v1/chat/completions": ("CreateChatCompletionResponse", "CreateChatCompletionStreamResponse"),
    "/v1/completions": ("CreateCompletionResponse", "CreateCompletionResponse"),
    "/v1/models": ("ListModelsResponse", None),
}


@functools.lru_cache(maxsize=None)
def has_schema():
    if os.path.exists(openai_schema.PATH) and importlib.util.find_spec("jsonschema"):
        return True
    print("        answers are not checked: no TOKFS_TEST_DATA, or no jsonschema")
    return False


def check(name, value):
    if not has_schema():
        return
    for choice in value.get("choices", []) if value.get("object") == "text_completion" else []:
        # What the schema does not know: chunks before the last have no reason, and an echoed prompt's first token no logprob.
        choice["finish_reason"] = choice["finish_reason"] or "stop"
        for key, items in (choice["logprobs"] or {}).items():
            choice["logprobs"][key] = [item for item in items if item is not None]
    errors = openai_schema.errors(name, value)
    assert not errors, f"{name}: {errors}: {value}"


def check_answer(path, status, headers, body):
    path = path.split("?")[0]
    assert headers["x-request-id"].startswith("req-"), headers
    if status >= 400:
        assert headers["content-type"] == "application/json", (status, headers)
        return check("ErrorResponse", json.loads(body))
    whole, event = NAMES.get(path, ("Model" if path.startswith("/v1/models/") else None, None))
    if headers.get("content-type", "").startswith("text/event-stream"):
        *events, done, rest = body.decode().split("\n\n")
        assert (done, rest) == ("data: [DONE]", ""), (done, rest)
        for text in events:
            value = json.loads(text.removeprefix("data: "))
            check("ErrorResponse" if "error" in value else event, value)
    elif whole:
        check(whole, json.loads(body))


# ---- the wire -------------------------------------------------------------------------------------------------------------


class Wire:
    """Between clients and a bridge: passes bytes on, and when it is left, checks the answers that came whole."""

    def __init__(self, bridge):
        self.bridge = bridge
        self.connections = []  # of each: what the client sent, what it got

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = self.bridge.connect()
            server.settimeout(None)
            sent, got = bytearray(), bytearray()
            self.connections.append((sent, got))
            threading.Thread(target=self.pump, args=(client, server, sent), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, got), daemon=True).start()

    @staticmethod
    def pump(source, target, record):
        try:
            while data := source.recv(65536):
                record += data
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):  # who leaves, leaves for both
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __exit__(self, kind, value, trace):
        self.listener.close()
        if kind is None:
            self.check()

    def check(self):
        for sent, got in self.connections:
            for _, path, status, headers, body in exchanges(bytes(sent), bytes(got)):
                check_answer(path, status, headers, body)


@contextlib.contextmanager
def serving(*options, **environment):
    """A mount with a bridge and a wire to it."""
    with Mount(*options, **environment) as mount, Bridge(mount) as bridge, Wire(bridge) as wire:
        yield mount, wire
