#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""registry.py ADDRESS:PORT ARCHIVE[=NAME] ...: a container registry (the pull half of the OCI distribution API) over image archives (OCI layouts).

An image is served under the name that its archive carries, or NAME, without the host. Nothing is unpacked or copied: blobs are read from the archives.
"""
import http.server
import json
import re
import sys
import tarfile

NAME_ANNOTATION = "io.containerd.image.name"


class Store:
    def __init__(self):
        self.blobs = {}      # digest -> (archive, offset, size)
        self.manifests = {}  # "repository:tag" and "repository@digest" -> (digest, media type)

    def add(self, path, alias):
        with tarfile.open(path) as archive:
            for member in archive:
                if member.name.startswith("blobs/sha256/"):
                    self.blobs["sha256:" + member.name.rsplit("/", 1)[1]] = (path, member.offset_data, member.size)
                elif member.name == "index.json":
                    index = json.load(archive.extractfile(member))
        for entry in index["manifests"]:
            name = (alias or entry["annotations"][NAME_ANNOTATION]).split("/", 1)[1]
            repository = name.rsplit(":", 1)[0]
            self.manifests[name] = self.manifests[f"{repository}@{entry['digest']}"] = (entry["digest"], entry["mediaType"])

    def read(self, digest):
        path, offset, size = self.blobs[digest]
        with open(path, "rb") as file:
            file.seek(offset)
            while size > 0:
                part = file.read(min(size, 1 << 20))
                size -= len(part)
                yield part


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, digest, media_type):
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(self.server.store.blobs[digest][2]))
        self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command == "GET":
            for part in self.server.store.read(digest):
                self.wfile.write(part)

    def refuse(self, code):
        body = json.dumps({"errors": [{"code": code, "message": "not here"}]}).encode()
        self.send_response(404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/v2/":
            self.send_response(200)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        store = self.server.store
        if match := re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", path):
            separator = "@" if match[2].startswith("sha256:") else ":"
            found = store.manifests.get(match[1] + separator + match[2])
            return self.answer(*found) if found else self.refuse("MANIFEST_UNKNOWN")
        if (match := re.fullmatch(r"/v2/.+/blobs/(sha256:[0-9a-f]{64})", path)) and match[1] in store.blobs:
            return self.answer(match[1], "application/octet-stream")
        return self.refuse("BLOB_UNKNOWN")

    do_HEAD = do_GET


def main(address, *archives):
    host, port = address.rsplit(":", 1)
    server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
    server.store = Store()
    for archive in archives:
        path, _, alias = archive.partition("=")
        server.store.add(path, alias)
    server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
