"""A Flask application."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, jsonify, request, session, stream_with_context

app = Flask(__name__)
app.secret_key = "for tests"


@app.post("/form")
def form() -> Any:
    sent = request.files["file"]
    return jsonify(note=request.form["note"], name=sent.filename, size=len(sent.read()))


@app.post("/json")
def echo() -> Any:
    return jsonify(request.get_json())


@app.get("/count")
def count() -> Any:
    session["count"] = session.get("count", 0) + 1
    return str(session["count"])


@app.get("/stream")
def stream() -> Response:
    def pieces() -> Iterator[str]:
        for number in range(100):
            yield f"{number} {request.args['x']}\n"

    return Response(stream_with_context(pieces()), mimetype="text/plain")


@app.get("/url")
def url() -> Any:
    return jsonify(url=request.url, root=request.script_root, remote=request.remote_addr)


@app.get("/crash")
def crash() -> Any:
    raise ValueError("deliberate")
