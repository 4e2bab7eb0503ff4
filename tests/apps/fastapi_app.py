"""A FastAPI application that uses what FastAPI offers; for tests/frameworks and conformance/parity."""

import asyncio
import contextlib
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import anyio
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Cookie,
    Depends,
    FastAPI,
    File,
    Form,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
    UploadFile,
    status,
)
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, Field
from support.probe import say


class Item(BaseModel):
    name: str = Field(min_length=1)
    price: float = Field(gt=0)
    tags: list[str] = []


class OutOfStock(Exception):
    def __init__(self, name: str) -> None:
        self.name = name


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    say("starting")
    yield {"database": {"items": {}}}
    say("stopped")


app = FastAPI(title="Parity", lifespan=lifespan)
router = APIRouter(prefix="/items", tags=["items"])


@app.middleware("http")
async def count_requests(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    response.headers["x-path"] = request.url.path
    return response


@app.exception_handler(OutOfStock)
async def out_of_stock(request: Request, error: OutOfStock) -> JSONResponse:
    return JSONResponse({"out_of_stock": error.name}, status_code=409)


async def session(request: Request) -> AsyncIterator[dict[str, Any]]:
    """A dependency with an end; the end comes for every request, also for one that fails."""
    tag = request.headers.get("x-tag", "")
    try:
        yield request.state.database
    finally:
        say("session_closed", tag)


def user(
    x_user: Annotated[str | None, Header()] = None, token: Annotated[str | None, Cookie()] = None
) -> str:
    if x_user is None and token is None:
        raise HTTPException(
            status.HTTP_401_UNAUTHORIZED, "who are you?", headers={"WWW-Authenticate": "Bearer"}
        )
    return x_user or f"by cookie {token}"


@app.get("/")
async def home() -> dict[str, str]:
    return {"hello": "world"}


@router.post("/", status_code=201, response_model=Item)
async def create(item: Item, database: Annotated[dict[str, Any], Depends(session)]) -> Item:
    database["items"][item.name] = item
    return item


@router.get("/{name}", response_model=Item)
async def read(
    name: Annotated[str, Path(max_length=20)], database: Annotated[dict[str, Any], Depends(session)]
) -> Item:
    if name not in database["items"]:
        raise OutOfStock(name)
    found: Item = database["items"][name]
    return found


@app.get("/search")
async def search(
    q: Annotated[list[str], Query()], limit: Annotated[int, Query(ge=1, le=100)] = 10
) -> dict[str, Any]:
    return {"q": q, "limit": limit}


@app.get("/me")
async def me(name: Annotated[str, Depends(user)]) -> dict[str, str]:
    return {"user": name}


@app.get("/sync")
def sync_endpoint() -> dict[str, bool]:
    """FastAPI runs it in a thread."""
    return {"main_thread": threading.current_thread() is threading.main_thread()}


@app.post("/upload")
async def upload(
    file: Annotated[UploadFile, File()], note: Annotated[str, Form()], more: list[UploadFile] | None = None
) -> dict[str, Any]:
    data = await file.read()
    return {
        "filename": file.filename,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "note": note,
        "more": [item.filename for item in more or []],
    }


@app.post("/login")
async def login(
    name: Annotated[str, Form()], password: Annotated[str, Form()], response: Response
) -> dict[str, str]:
    response.set_cookie("token", name)
    return {"name": name, "password": "*" * len(password)}


@app.get("/background")
async def background(tag: str, tasks: BackgroundTasks) -> dict[str, str]:
    async def coroutine() -> None:
        await asyncio.sleep(0)
        say("background", tag, name="coroutine")

    def function() -> None:
        say("background", tag, name="function")

    tasks.add_task(coroutine)
    tasks.add_task(function)
    return {"status": "started"}


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        for number in range(100):
            yield f'{{"line": {number}}}\n'

    return StreamingResponse(lines(), media_type="application/x-ndjson")


@app.get("/sync-stream")
def sync_stream() -> StreamingResponse:
    def lines() -> Iterator[bytes]:
        for number in range(100):
            yield b"%d " % number

    return StreamingResponse(lines(), media_type="text/plain")


@app.get("/gather")
async def gather() -> dict[str, list[int]]:
    async def square(number: int) -> int:
        await asyncio.sleep(0.001)
        return number * number

    results: list[int] = []
    async with anyio.create_task_group() as group:

        async def collect() -> None:
            results.extend(await asyncio.gather(*map(square, range(10))))

        group.start_soon(collect)
    return {"squares": results}


@app.get("/timeout")
async def timeout() -> dict[str, str]:
    try:
        with anyio.fail_after(0.02):
            await anyio.sleep(60)
    except TimeoutError:
        raise HTTPException(504, "too slow") from None
    return {"never": "here"}


@app.get("/crash")
async def crash(database: Annotated[dict[str, Any], Depends(session)]) -> None:
    raise RuntimeError("deliberate crash")


@app.get("/text", response_class=PlainTextResponse)
async def text() -> str:
    return "plain text"


@app.delete("/nothing", status_code=204)
async def nothing() -> None:
    return None


app.include_router(router)
