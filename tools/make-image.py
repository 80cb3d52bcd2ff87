#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make-image.py OUT.tar NAME:TAG CONFIG_JSON [+LAYER.tar ...] PATH=FILE|PATH@LINK|PATH/ ...: an OCI archive for `ctr images import`.

CONFIG_JSON is the image configuration's "config" object (Entrypoint, Cmd, Env, ExposedPorts ...). The +LAYERs lie below the one made of the
paths. PATH:4755=FILE sets a mode. Output is reproducible.
"""
import hashlib
import io
import json
import os
import sys
import tarfile


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def add(archive, name, data=b"", mode=0o644, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.linkname = kind, mode, len(data), link
    archive.addfile(info, io.BytesIO(data))


def make_layer(entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for entry in entries:
            if "=" in entry:
                path, _, source = entry.partition("=")
                path, _, mode = path.partition(":")
                with open(source, "rb") as file:
                    add(layer, path.lstrip("/"), file.read(), int(mode, 8) if mode else 0o755 if os.access(source, os.X_OK) else 0o644)
            elif "@" in entry:
                path, _, target = entry.partition("@")
                add(layer, path.lstrip("/"), kind=tarfile.SYMTYPE, mode=0o777, link=target)
            else:
                add(layer, entry.strip("/"), kind=tarfile.DIRTYPE, mode=0o1777 if entry.strip("/") == "tmp" else 0o755)
    return buffer.getvalue()


def main(out, name, config, *entries):
    layers = []
    for path in (entry[1:] for entry in entries if entry.startswith("+")):
        with open(path, "rb") as file:
            layers.append(file.read())
    entries = [entry for entry in entries if not entry.startswith("+")]
    if entries:
        layers.append(make_layer(entries))
    settings = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], **json.loads(config)}
    image = json.dumps({"architecture": "amd64", "os": "linux", "config": settings,
                        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]}}).encode()
    oci = "application/vnd.oci.image."
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": oci + "manifest.v1+json",
        "config": {"mediaType": oci + "config.v1+json", "digest": digest(image), "size": len(image)},
        "layers": [{"mediaType": oci + "layer.v1.tar", "digest": digest(layer), "size": len(layer)} for layer in layers]}).encode()
    index = json.dumps({"schemaVersion": 2, "manifests": [{
        "mediaType": oci + "manifest.v1+json", "digest": digest(manifest), "size": len(manifest),
        "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}}]}).encode()
    with tarfile.open(out, "w") as archive:
        add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        add(archive, "index.json", index)
        for blob in (*layers, image, manifest):
            add(archive, "blobs/sha256/" + digest(blob)[7:], blob)


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
