#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""report.py focus AREAS_TSV AREA[,AREA] parallel|serial  prints a regular expression that matches the area's tests of this sort
report.py serial DRY_RUN.json  prints the same for the serial ones of the tests that a dry run has chosen
report.py record REPORT_DIR NODES RESULTS_TSV AREAS_TSV OUT.md  adds a run's results to the store and writes the counts

RESULTS_TSV keeps the latest result of every test that was ever run, by the number of nodes that it ran on: name, passed or failed, commit, date
and, from two, the number of nodes.
"""
import datetime
import json
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as xml


def read_areas(path):
    areas = {}
    for line in pathlib.Path(path).read_text().splitlines():
        if line and not line.startswith("#"):
            area, _, test = line.partition("\t")
            areas.setdefault(area, []).append(test)
    return areas


def focus(areas_path, wanted, sort):
    areas = read_areas(areas_path)
    names = list(areas) if wanted == "skeleton" else wanted.split(",")
    unknown = [name for name in names if name not in areas]
    if unknown:
        sys.exit(f"no such area: {', '.join(unknown)}; there are: {', '.join(areas)}")
    tests = dict.fromkeys(test for name in names for test in areas[name] if ("[Serial]" in test) == (sort == "serial"))
    print(pattern(tests))


def pattern(tests):
    # Some names have two spaces in a row; a regular expression that matches nothing stands for no test at all.
    quoted = (re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", test).replace("`", ".").replace(" ", " +") for test in tests)
    return "|".join(quoted) or "no test of this sort"


def serial(dry_run):
    specs = [spec for suite in json.loads(pathlib.Path(dry_run).read_text()) for spec in suite["SpecReports"]]
    names = (" ".join([*(spec["ContainerHierarchyTexts"] or []), spec["LeafNodeText"]]) for spec in specs if spec["State"] == "passed")
    print(pattern([name for name in names if "[Serial]" in name]))


def read_store(path):
    store = {}
    if pathlib.Path(path).exists():
        for line in pathlib.Path(path).read_text().splitlines():
            name, outcome, commit, date, *nodes = line.split("\t")
            store[name, int(nodes[0]) if nodes else 1] = (outcome, commit, date)
    return store


def results_of(report):
    for file in pathlib.Path(report).rglob("junit*.xml"):
        for case in xml.parse(file).getroot().iter("testcase"):
            # "[It] [sig-node] Pods should ... [Conformance]"
            name = re.sub(r" +", " ", re.sub(r"^\[It\] ", "", case.get("name", "")))
            if not name.startswith("[sig-") or "[Conformance]" not in name or case.get("status") in ("skipped", "pending"):
                continue
            if case.find("skipped") is not None:
                continue
            yield name, "passed" if case.get("status") == "passed" else "failed"


def line(title, tests, results):
    known = [results[test][0] for test in tests if test in results]
    return f"| {title} | {len(tests)} | {known.count('passed')} | {known.count('failed')} | {len(tests) - len(known)} |"


def groups(results):
    sigs = {}
    for name in results:
        sigs.setdefault(re.match(r"\[(sig-[a-z-]+)\]", name).group(1), []).append(name)
    return [line(sig, tests, results) for sig, tests in sorted(sigs.items())]


def section(results, areas):
    """The counts on one number of nodes; areas only if there are any."""
    failed = sorted(name for name in results if results[name][0] == "failed")
    passed = len(results) - len(failed)
    text = [f"Latest results: **{passed} passed, {len(failed)} failed** of {len(results)} tests run so far; the suite has 380.", ""]
    if areas:
        text += ["| by area | tests | passed | failed | not run |", "|---|---|---|---|---|",
                 *[line(area, tests, results) for area, tests in areas.items()], ""]
    text += ["| by group, of those run | tests | passed | failed | not run |", "|---|---|---|---|---|", *groups(results), ""]
    if failed:
        text += ["Failed:", "", *[f"- {name} ({results[name][1]}, {results[name][2]})" for name in failed], ""]
    return text


def record(report, nodes, store_path, areas_path, out):
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip() or "none"
    date = datetime.date.today().isoformat()
    store, ran = read_store(store_path), {}
    for name, outcome in results_of(report):
        # A test that a retry or a second report names twice has failed when one of them failed.
        ran[name] = "failed" if "failed" in (outcome, ran.get(name)) else outcome
    for name, outcome in ran.items():
        store[name, int(nodes)] = (outcome, commit, date)
    if not ran:
        sys.exit("no test ran; see the logs in the report directory")
    lines = ("\t".join((name, *store[name, count], *([str(count)] if count > 1 else []))) + "\n" for name, count in sorted(store))
    pathlib.Path(store_path).write_text("".join(lines))
    text = ["# Official conformance suite, v1.28.4", "", "Written by `tests/conformance/run.sh` (`make conformance`); do not edit.", ""]
    for count in sorted({count for _, count in store}):
        results = {name: result for (name, of), result in store.items() if of == count}
        where = f"{count} nodes: workers beside a tainted master, by `tests/lib/cluster.sh`" if count > 1 else "One node: `knarr up`"
        text += [f"## {where}", ""]
        text += section(results, read_areas(areas_path) if count == 1 else {})
    pathlib.Path(out).write_text("\n".join(text))
    bad = [name for name, outcome in ran.items() if outcome == "failed"]
    for name in sorted(bad):
        print(f"FAILED {name}")
    print(f"{len(ran) - len(bad)} passed, {len(bad)} failed")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1] == "focus":
        focus(*sys.argv[2:])
    elif len(sys.argv) == 3 and sys.argv[1] == "serial":
        serial(sys.argv[2])
    elif len(sys.argv) == 7 and sys.argv[1] == "record":
        record(*sys.argv[2:])
    else:
        sys.exit(__doc__)
