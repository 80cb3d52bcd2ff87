#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""report.py RESULTS OUT.md READY_MS IDLE_OURS_MB IDLE_UPSTREAM_MB: the ratios of a run of bench/run.sh, printed and written."""
import datetime
import pathlib
import subprocess
import sys

LESS_IS_BETTER = {"ms"}


def main(results, out, ready, idle_ours, idle_upstream):
    figures = {}
    for line in pathlib.Path(results).read_text().splitlines():
        side, encoding, name, value, unit = line.split()
        figures[side, encoding, name] = (float(value), unit)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    rows = ["# knarr beside upstream v1.28.4", "", "Written by `bench/run.sh` (`make bench`); do not edit. "
            f"Commit {commit}, {datetime.date.today().isoformat()}; both on the same machine in the same run, client-go as the load; ratio above 1: knarr is better.",
            "", "| what | knarr | upstream | ratio |", "|---|---|---|---|"]
    for (side, encoding, name), (value, unit) in figures.items():
        if side != "ours" or ("upstream", encoding, name) not in figures:
            continue
        other = figures["upstream", encoding, name][0]
        ratio = other / value if unit in LESS_IS_BETTER else value / other
        rows.append(f"| {name}, {encoding} | {value:.1f} {unit} | {other:.1f} {unit} | {ratio:.1f} |")
    rows.append(f"| resident when idle: all of `knarr up`; etcd and kube-apiserver alone | {idle_ours} MB | {idle_upstream} MB "
                f"| {float(idle_upstream) / float(idle_ours):.1f} |")
    start, floor = figures["ours", "any", "podstart"][0], figures["runtime", "any", "crifloor"][0]
    rows += ["", f"`knarr up` from an empty directory to a Ready node: {ready} ms.", "",
             f"A pod from create to Running: {start:.0f} ms; the container runtime alone, asked the same: {floor:.0f} ms; {start / floor:.2f} times.", ""]
    text = "\n".join(rows)
    pathlib.Path(out).write_text(text)
    print(text)


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
