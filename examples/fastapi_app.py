"""FastAPI: typed parameters, validation, a background task and the interactive documentation.

Run it from the root of the repository, with FastAPI installed:

    fasterapi run examples/fastapi_app.py --port 8002

Then open http://127.0.0.1:8002/docs, or
``curl --json '{"name": "tea", "price": 3.5}' http://127.0.0.1:8002/items``.
"""

import logging

from fastapi import BackgroundTasks, FastAPI, HTTPException
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

logger = logging.getLogger("fasterapi.error")

app = FastAPI(title="FastAPI on fasterapi")


class Item(BaseModel):
    name: str = Field(min_length=1, max_length=40)
    price: float = Field(gt=0)


items: dict[int, Item] = {1: Item(name="coffee", price=2.8)}


@app.get("/", include_in_schema=False)
async def index() -> RedirectResponse:
    return RedirectResponse("/docs")


@app.get("/items")
async def list_items(limit: int = 10) -> dict[int, Item]:
    return dict(list(items.items())[:limit])


@app.get("/items/{number}")
async def get_item(number: int) -> Item:
    if number not in items:
        raise HTTPException(404, "no such item")
    return items[number]


@app.post("/items", status_code=201)
async def add_item(item: Item, background: BackgroundTasks) -> dict[str, int]:
    number = max(items, default=0) + 1
    items[number] = item
    background.add_task(logger.info, "Item %d: %s", number, item.name)
    return {"number": number}


@app.get("/slow")
def slow() -> str:
    """Not a coroutine: FastAPI runs it in a thread."""
    return "from a thread"
