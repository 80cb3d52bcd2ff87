#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""count_tests.py RESULTS_DIR CTEST_LOG STATUS: adds up googletest's reports and ctest's programs without one; exits as it should."""
import pathlib
import re
import sys
import xml.etree.ElementTree as xml

results, log, status = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
passed = failed = skipped = 0
reported = set()
for report in results.glob("*.xml"):
    root = xml.parse(report).getroot()
    reported.add(report.stem)
    for case in root.iter("testcase"):
        if case.find("failure") is not None:
            failed += 1
        elif case.get("status") == "notrun" or case.get("result") == "skipped":
            skipped += 1
        else:
            passed += 1
# Programs that are no googletests, or died before they wrote a report, count as one test each.
text = log.read_text(errors="replace") if log.exists() else ""
for name, outcome in re.findall(r"^\d+/\d+ Testing: (\S+)\n(?:.*\n)*?Test (Passed|Failed)\.", text, re.M):
    if name in reported:
        continue
    passed, failed = (passed + 1, failed) if outcome == "Passed" else (passed, failed + 1)
if status != 0 and failed == 0:
    failed = 1
print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(1 if failed or passed == 0 else 0)
