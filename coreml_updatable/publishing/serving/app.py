"""The catalogue as an ASGI application: GET and HEAD of files beneath one folder, and nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from coreml_updatable.publishing.serving.answer import ALWAYS, Answer, answer_of
from coreml_updatable.publishing.serving.content import Content, Contents
from coreml_updatable.publishing.serving.paths import file_of

CHUNK = 256 * 1024


def application(site: Path) -> ASGIApp:
    """The application that serves ``site``."""
    root, contents = site.resolve(), Contents()

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        response = await _response(root, contents, Request(scope))
        await response(scope, receive, send)

    return serve


async def _response(root: Path, contents: Contents, request: Request) -> Response:
    if request.method not in ("GET", "HEAD"):
        return PlainTextResponse("GET and HEAD only\n", 405, {**ALWAYS, "allow": "GET, HEAD"})
    try:
        path = file_of(root, str(request.scope["path"]))
        content = None if path is None else contents.known(path) or await run_in_threadpool(contents.of, path)
    except (OSError, ValueError):  # gone in between, or a name that the system can not even ask for
        content = None
    if content is None:
        return PlainTextResponse("not here\n", 404, ALWAYS)
    place = content.path.relative_to(root).as_posix()
    asked = {name.lower(): value for name, value in request.headers.items()}
    if request.method == "HEAD":
        asked.pop("range", None)  # RFC 9110, section 14.2: ranges are of GET alone
    answer = answer_of(content, place, asked)
    if request.method == "HEAD" or answer.last < answer.first:
        return Response(status_code=answer.status, headers=_without_length(answer))
    if answer.packed and content.packed is not None:
        return Response(content.packed, answer.status, dict(answer.headers))
    if content.body is not None:
        return Response(content.body[answer.first : answer.last + 1], answer.status, dict(answer.headers))
    return StreamingResponse(_pieces(content, answer), answer.status, dict(answer.headers))


def _without_length(answer: Answer) -> dict[str, str]:
    """Of 304 the length is left out; of HEAD it is that of the file."""
    return {name: value for name, value in answer.headers.items() if answer.status != 304 or name != "content-length"}


async def _pieces(content: Content, answer: Answer) -> AsyncIterator[bytes]:
    left = answer.last - answer.first + 1
    with content.path.open("rb") as file:
        file.seek(answer.first)
        while left:
            piece = await run_in_threadpool(file.read, min(CHUNK, left))
            if not piece:
                raise OSError(f"{content.path}: became shorter while it was sent")
            left -= len(piece)
            yield piece
