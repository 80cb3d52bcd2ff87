#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""webhook.py PORT USERS: what an installation may put behind kube-apiserver's webhooks, as small as it gets.

/authenticate takes TokenReviews whose token is "USER:PASSWORD" and answers by the file USERS (lines NAME:PASSWORD:GROUP,GROUP): the way to keep
names and passwords now that kube-apiserver knows none itself. /authorize takes SubjectAccessReviews: the group "readers" may get and list, the
user "mallory" may nothing, whatever others say. GET /count tells how often each was asked.
"""
import http.server
import json
import sys

PORT, USERS = int(sys.argv[1]), sys.argv[2]
asked = {"/authenticate": 0, "/authorize": 0}


def users():
    with open(USERS) as file:
        for line in file:
            name, password, groups = line.rstrip("\n").split(":")
            yield name, password, [group for group in groups.split(",") if group]


def review_token(spec):
    for name, password, groups in users():
        if spec["token"] == f"{name}:{password}":
            return {"authenticated": True, "user": {"username": name, "uid": f"uid-{name}", "groups": groups, "extra": {"via": ["webhook"]}}}
    return {"authenticated": False, "error": "wrong name or password"}


def review_access(spec):
    if spec.get("user") == "mallory":
        return {"allowed": False, "denied": True, "reason": "mallory is mallory"}
    verb = spec.get("resourceAttributes", spec.get("nonResourceAttributes", {})).get("verb")
    # v1beta1 has the groups under "group".
    allowed = "readers" in spec.get("groups", spec.get("group", [])) and verb in ("get", "list")
    return {"allowed": allowed, "reason": "" if allowed else "not a reader"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(asked)

    def do_POST(self):
        path = self.path.split("?")[0]
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked[path] += 1
        review["status"] = review_token(review["spec"]) if path == "/authenticate" else review_access(review["spec"])
        self.answer(review)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
