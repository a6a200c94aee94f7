"""A check as one writes it with FastAPI."""

from typing import Annotated

from fastapi import FastAPI, Header, Response
from known import check

app = FastAPI()


@app.get("/auth/check")
async def auth_check(authorization: Annotated[str, Header()] = "") -> Response:
    """Answer whose token it is."""
    answer = check(authorization.removeprefix("Bearer ").encode())
    return Response(answer or b'{"authenticated": false}', media_type="application/json")
