#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""basic_proxy.py PORT USERS SERVER CA CERT KEY: an authenticating proxy before kube-apiserver that takes HTTP basic authentication.

It checks names and passwords by the file USERS (lines NAME:PASSWORD:GROUP,GROUP) and passes requests on with its own certificate and the headers
X-Remote-User and X-Remote-Group. What a client says in such headers is dropped.
"""
import base64
import http.client
import http.server
import ssl
import sys

PORT, USERS, SERVER, CA, CERT, KEY = sys.argv[1:]
HOST, HOST_PORT = SERVER.split(":")
context = ssl.create_default_context(cafile=CA)
context.load_cert_chain(CERT, KEY)


def user_of(header):
    if not header.startswith("Basic "):
        return None
    given = base64.b64decode(header[6:]).decode()
    with open(USERS) as file:
        for line in file:
            name, password, groups = line.rstrip("\n").split(":")
            if given == f"{name}:{password}":
                return name, [group for group in groups.split(",") if group]
    return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        user = user_of(self.headers.get("Authorization", ""))
        if user is None:
            self.reply(401, [("WWW-Authenticate", 'Basic realm="kubernetes"')], b"who are you?\n")
            return
        upstream = http.client.HTTPSConnection(HOST, int(HOST_PORT), context=context)
        upstream.putrequest(self.command, self.path)
        for name, value in self.headers.items():
            if name.lower() in ("authorization", "host", "connection", "content-length") or name.lower().startswith("x-remote-"):
                continue
            upstream.putheader(name, value)
        upstream.putheader("X-Remote-User", user[0])
        for group in user[1]:
            upstream.putheader("X-Remote-Group", group)
        upstream.putheader("Content-Length", str(len(body)))
        upstream.endheaders(body)
        answer = upstream.getresponse()
        headers = [(n, v) for n, v in answer.getheaders() if n.lower() not in ("content-length", "transfer-encoding", "connection")]
        self.reply(answer.status, headers, answer.read())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward

    def reply(self, code, headers, body):
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(PORT)), Handler).serve_forever()
