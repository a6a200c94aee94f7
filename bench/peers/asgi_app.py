"""A check as a bare ASGI application, as little as uvicorn can be asked to do."""

from known import check

HEADERS = [(b"content-type", b"application/json")]
DENIED = b'{"authenticated": false}'


async def app(scope, receive, send):
    """Answer any GET."""
    if scope["type"] != "http":
        return
    token = b""
    for name, value in scope["headers"]:
        if name == b"authorization":
            token = value[7:]
    body = check(token) or DENIED
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, length]})
    await send({"type": "http.response.body", "body": body})
