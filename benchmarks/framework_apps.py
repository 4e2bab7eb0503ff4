"""The applications written with a framework. Apart from apps.py, so that the raw rows do not import one."""

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def text(request: Request) -> PlainTextResponse:
    """Thirteen bytes of text."""
    return PlainTextResponse("Hello, World!")


starlette = Starlette(routes=[Route("/", text)])

fastapi = FastAPI()


@fastapi.get("/")
async def json() -> dict[str, str]:
    """A small JSON object, checked and encoded as FastAPI does by default."""
    return {"message": "Hello, World!"}
