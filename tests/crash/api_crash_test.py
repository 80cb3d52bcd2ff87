#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""api_crash_test.py KNARR [ROUNDS]: kill -9 under write load, seen through the API.

Each round starts `knarr kube-apiserver` on the same data, lets several clients create ConfigMaps, kills the server at a random moment, and starts it
again. Every write that was acknowledged must be there with the resourceVersion that was acknowledged, and a watch resumed from any acknowledged
resourceVersion must tell of exactly the later ones, in order. Prints the counts; exits 1 at the first loss.
"""
import http.client
import json
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

NAMESPACE = "/api/v1/namespaces/default/configmaps"
CLIENTS = 8


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, knarr, work):
        self.work, self.port, self.process = work, free_port(), None
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
                        "-keyout", work / "tls.key", "-out", work / "tls.crt"], check=True, capture_output=True)
        (work / "tokens.csv").write_text('secret,admin,1,"system:masters"\n')
        self.command = [knarr, "kube-apiserver", "--data-dir", work / "data", "--bind-address", "127.0.0.1", "--secure-port", str(self.port),
                        "--tls-cert-file", work / "tls.crt", "--tls-private-key-file", work / "tls.key",
                        "--token-auth-file", work / "tokens.csv", "--service-cluster-ip-range", "10.96.0.0/16"]

    def connect(self, timeout=30):
        context = ssl._create_unverified_context()
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=context)

    def start(self):
        log = open(self.work / "server.log", "ab")
        self.process = subprocess.Popen([str(part) for part in self.command], stdout=log, stderr=log)
        for _ in range(600):
            if self.process.poll() is not None:
                sys.exit("the server ended at start:\n" + (self.work / "server.log").read_text()[-2000:])
            try:
                if call(self.connect(2), "GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        sys.exit("the server did not become ready")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def call(connection, method, path, body=None):
    connection.request(method, path, body=body, headers={"Authorization": "Bearer secret", "Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, response.read()


def write_until_it_dies(server, prefix, acknowledged, lock):
    connection, number = server.connect(), 0
    try:
        while True:
            name = f"{prefix}-{number}"
            number += 1
            body = json.dumps({"metadata": {"name": name, "labels": {"round": prefix.split("-")[0]}}, "data": {"value": "x" * 500}})
            status, text = call(connection, "POST", NAMESPACE, body)
            if status != 201:
                sys.exit(f"create of {name}: {status} {text[:300]}")
            with lock:
                acknowledged[name] = int(json.loads(text)["metadata"]["resourceVersion"])
    except (OSError, http.client.HTTPException):
        pass


def check_all_there(server, acknowledged, rounds=None):
    """Of these rounds, or of all."""
    query = "" if rounds is None else "?labelSelector=round+in+(" + ",".join(rounds) + ")"
    items = json.loads(call(server.connect(120), "GET", NAMESPACE + query)[1])["items"]
    present = {item["metadata"]["name"]: int(item["metadata"]["resourceVersion"]) for item in items}
    for name, version in acknowledged.items():
        if (rounds is None or name.split("-")[0] in rounds) and present.get(name) != version:
            sys.exit(f"LOST: {name} was acknowledged at {version}, is {present.get(name)}")
    return present


def check_watch(server, acknowledged, present):
    """Resumes from one of the newest acknowledged versions, as a client does whose connection broke."""
    after = random.choice(sorted(version for name, version in acknowledged.items() if name in present)[-200:])
    expected = sorted(version for version in present.values() if version > after)
    text = call(server.connect(), "GET", f"{NAMESPACE}?watch=true&resourceVersion={after}&timeoutSeconds=1")[1].decode()
    events = [json.loads(line) for line in text.splitlines()]
    if any(event["type"] == "ERROR" for event in events):
        sys.exit(f"watch from {after}: {events[-1]}")
    told = [int(event["object"]["metadata"]["resourceVersion"]) for event in events if event["type"] == "ADDED"]
    if told != expected:
        sys.exit(f"watch from {after} told of {len(told)} changes, expected {len(expected)}")


def main(knarr, rounds):
    work = pathlib.Path(tempfile.mkdtemp(prefix="knarr-crash."))
    server, acknowledged, lock = Server(knarr, work), {}, threading.Lock()
    try:
        server.start()
        for number in range(rounds):
            writers = [threading.Thread(target=write_until_it_dies, args=(server, f"r{number}-c{client}", acknowledged, lock))
                       for client in range(CLIENTS)]
            for writer in writers:
                writer.start()
            time.sleep(random.uniform(0.02, 0.4))
            server.kill()
            for writer in writers:
                writer.join()
            server.start()
            # The last two rounds each time, all of them at the end: the list of a long run is large.
            present = check_all_there(server, acknowledged, [f"r{number}", f"r{max(number - 1, 0)}"])
            # The watch takes a second by its own time-out, so not every round has one.
            if present and (number % 10 == 0 or number == rounds - 1):
                check_watch(server, acknowledged, present)
        check_all_there(server, acknowledged)
        print(f"{rounds} kills, {len(acknowledged)} acknowledged writes, none lost")
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5)
