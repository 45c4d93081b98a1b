"""A little S3 on loopback: single and multipart uploads, their metadata, and what is refused."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from aiohttp import web


@dataclass(slots=True)
class S3:
    """What stands in its one bucket, by key, and what was asked."""

    objects: dict[str, tuple[bytes, dict[str, str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refuses: bool = False
    url: str = ""
    _uploads: dict[str, tuple[dict[str, str], dict[int, bytes]]] = field(default_factory=dict)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["S3"]:
        """Serve within the block."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{bucket}/{key:.*}", self._answer)
        app.router.add_route("*", "/{bucket}", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        key, query = request.match_info.get("key", ""), request.query
        self.asked.append(f"{request.method} {key}{'?' + next(iter(query)) if query else ''}")
        body = await request.read()
        if self.refuses:
            text = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
            return web.Response(status=403, text=text)
        told = {
            name.lower(): value
            for name, value in request.headers.items()
            if name.lower().startswith("x-amz-meta-")
        }
        match request.method:
            case "POST" if "uploads" in query:
                upload = uuid4().hex
                self._uploads[upload] = (told, {})
                text = f"<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>{key}</Key>"
                text += f"<UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
                return web.Response(text=text, content_type="application/xml")
            case "PUT" if "partNumber" in query:
                self._uploads[query["uploadId"]][1][int(query["partNumber"])] = body
                return web.Response(headers={"ETag": f'"{query["partNumber"]}"'})
            case "POST" if "delete" in query:
                gone = re.findall("<Key>(.*?)</Key>", body.decode())
                for one in gone:
                    self.objects.pop(one, None)
                rows = "".join(f"<Deleted><Key>{one}</Key></Deleted>" for one in gone)
                text = f"<DeleteResult>{rows}</DeleteResult>"
                return web.Response(text=text, content_type="application/xml")
            case "POST":
                told, parts = self._uploads.pop(query["uploadId"])
                self.objects[key] = (b"".join(parts[number] for number in sorted(parts)), told)
                text = f"<CompleteMultipartUploadResult><Location>x</Location><Key>{key}</Key>"
                text += "<Bucket>b</Bucket><ETag>x</ETag></CompleteMultipartUploadResult>"
                return web.Response(text=text, content_type="application/xml")
            case "PUT":
                self.objects[key] = (body, told)
                return web.Response(headers={"ETag": '"1"'})
            case _ if key in self.objects:
                content, told = self.objects[key]
                seen = {"ETag": '"1"', "Last-Modified": "Mon, 02 Mar 2026 09:00:00 GMT", **told}
                return web.Response(body=content, headers=seen)
        return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
