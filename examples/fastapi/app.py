"""A FastAPI app behind Mana Edge: it greets its user, sells answers, streams, and takes uploads."""

import asyncio
import os
import pathlib
import sys
import uuid
from dataclasses import asdict

from fastapi import Depends, FastAPI, Header, Request, WebSocket, WebSocketDisconnect
from fastapi.requests import HTTPConnection
from fastapi.responses import PlainTextResponse, StreamingResponse

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "clients" / "python"))
import manaid  # noqa: E402

edge = manaid.Client(os.environ["MANA_URL"], service_key=os.environ["MANA_SERVICE_KEY"])

# region who
verifier = manaid.Verifier(os.environ["MANA_URL"], audience="app")


def who(asked: HTTPConnection) -> manaid.Identity:
    at, path = asked.scope, asked.scope["raw_path"]
    if isinstance(path, bytes):  # older servers give that of a WebSocket as a text
        path = path.decode()
    return verifier.assertion(at.get("method", "GET"), asked.headers["host"], path, at["query_string"].decode(), asked.headers)


app = FastAPI(dependencies=[Depends(who)])


@app.exception_handler(manaid.InvalidToken)
def nobody(request, error):
    return PlainTextResponse("please sign in\n", 401)


@app.get("/", response_class=PlainTextResponse)
def hello(user: manaid.Identity = Depends(who)):
    return f"Hello, {user.email}!\n"


# endregion


# region me
@app.get("/me")
def me(request: Request):
    return asdict(manaid.identity(request.headers))  # decoded: name, scopes, organisation and so on


# endregion


# region charge
@app.post("/answer", response_class=PlainTextResponse)
def answer(about: str = "", user: manaid.Identity = Depends(who), idempotency_key: str = Header("")):
    key = idempotency_key or str(uuid.uuid4())
    receipt = edge.charge(2, "app", "An answer", user_id=user.user_id, key=key)
    try:
        return think(about)
    except ValueError:
        edge.refund(user.user_id, 2, "app", "No answer", transaction_id=receipt["transaction"]["id"], key=key + "-refund")
        return PlainTextResponse("no answer, and nothing to pay\n", 500)


@app.exception_handler(manaid.InsufficientCredits)
def short(request, error):
    return PlainTextResponse(f"this costs {error.required} credits, you have {error.available}\n", 402)


# endregion


def think(about):
    if about == "everything":
        raise ValueError("too much")
    return "42\n"


# region events
@app.get("/events")
def events(user: manaid.Identity = Depends(who)):
    async def ticks():
        for i in range(1, 4):
            yield f"event: tick\nid: {i}\ndata: {user.email}\n\n"
            await asyncio.sleep(0.2)

    return StreamingResponse(ticks(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


# endregion


# region upload
@app.post("/upload")
async def upload(request: Request):
    size = 0
    async for chunk in request.stream():  # as it comes: nothing is kept
        size += len(chunk)
    return {"bytes": size}


# endregion


# region socket
@app.websocket("/socket")
async def socket(ws: WebSocket, user: manaid.Identity = Depends(who)):
    await ws.accept()
    await ws.send_text(f"Hello, {user.email}!")
    try:
        while True:
            await ws.send_text(await ws.receive_text())
    except WebSocketDisconnect:
        pass


# endregion
