#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""etcd_load.py SERVER CERTIFICATE KEY NAMES SECONDS: creates ConfigMaps from several clients while a watch follows, whatever fails meanwhile.
Ends with "ok N" when each acknowledged one is there with the version that was acknowledged and the watch has told of it."""
import http.client
import json
import ssl
import sys
import threading
import time
import urllib.parse

PATH = "/api/v1/namespaces/default/configmaps"
CLIENTS = 6


def main(server, certificate, key, _, seconds):
    address = urllib.parse.urlparse(server)
    context = ssl._create_unverified_context()
    context.load_cert_chain(certificate, key)
    acknowledged, failures, told, lock, end = {}, [], {}, threading.Lock(), time.time() + float(seconds)

    def connect():
        return http.client.HTTPSConnection(address.hostname, address.port, timeout=60, context=context)

    def call(connection, method, path, body=None):
        connection.request(method, path, body=body, headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()

    def write(client):
        connection, number = connect(), 0
        while time.time() < end:
            name = f"load-{client}-{number}"
            number += 1
            status, text = call(connection, "POST", PATH, json.dumps({"metadata": {"name": name, "labels": {"load": "yes"}}, "data": {"k": "x" * 300}}))
            with lock:
                if status == 201:
                    acknowledged[name] = int(json.loads(text)["metadata"]["resourceVersion"])
                else:
                    failures.append(f"{name}: {status} {text[:200]}")

    def watch(version):
        connection = connect()
        connection.request("GET", f"{PATH}?watch=true&labelSelector=load%3Dyes&resourceVersion={version}&timeoutSeconds={int(seconds) + 40}")
        for line in connection.getresponse():
            event = json.loads(line)
            if event["type"] == "ERROR":
                failures.append(f"watch: {event['object']}")
                return
            told[event["object"]["metadata"]["name"]] = int(event["object"]["metadata"]["resourceVersion"])

    version = json.loads(call(connect(), "GET", PATH)[1])["metadata"]["resourceVersion"]
    threading.Thread(target=watch, args=(version,), daemon=True).start()
    writers = [threading.Thread(target=write, args=(client,)) for client in range(CLIENTS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    items = json.loads(call(connect(), "GET", PATH + "?labelSelector=load%3Dyes")[1])["items"]
    present = {item["metadata"]["name"]: int(item["metadata"]["resourceVersion"]) for item in items}
    for _ in range(100):
        if all(told.get(name) == v for name, v in acknowledged.items()):
            break
        time.sleep(0.1)
    lost = [name for name, v in acknowledged.items() if present.get(name) != v]
    unseen = [name for name, v in acknowledged.items() if told.get(name) != v]
    for failure in failures[:10]:
        print(failure)
    print(f"{len(acknowledged)} acknowledged, {len(failures)} failed, {len(lost)} lost, {len(unseen)} not watched")
    print(f"ok {len(acknowledged)}" if acknowledged and not lost and not unseen else "failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
