#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tour.py OUT.md SCRIPT...: runs scripts of commands on the hosts of tests/lib/host.sh, compares what each prints with what the script says, line by
line, and writes it all as a document. Ends with "N passed, N failed", a command counting as one.

A script's lines, by how they begin:
  `== TITLE`  a section        `: TEXT`  a sentence of the document       `@HOST`  where commands run from here on       `# ` a remark
  `$ CMD`     a command        `$N CMD`  one that is run again until it prints what it should, N seconds at most         `$t CMD`  one with a terminal
  `> LINE`    the command goes on              `< LINE`  typed when the terminal is quiet                  `!N`  the exit status is to be N, not 0
Any other line is one that the command prints. Runs of spaces are equal. In it, `<KIND>` stands for what changes from run to run (KINDS below),
`<KIND:NAME>` keeps it: later lines and commands write {NAME}. A line `...` is any number of lines. A backslash in front makes any line literal.
"""
import difflib
import os
import pty
import re
import select
import subprocess
import sys
import time

KINDS = {
    "age": r"(?:<invalid>|(?:\d+[dhms])+)",
    "any": r".*?",
    "hash": r"[0-9a-f]{64}",
    "hex": r"[0-9a-f]+",
    "ip": r"\d+\.\d+\.\d+\.\d+",
    "mac": r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}",
    "n": r"\d+",
    "node": r"k8s-(?:master|node-\d)",
    "num": r"\d+(?:\.\d+)?",
    "pod": r"[a-z0-9]{5}",
    "size": r"\d+(?:\.\d+)?[kKMG]i?B?",
    "template": r"[a-z0-9]{6,10}",
    "time": r"(?:\d{4}-\d\d-\d\d[T ][\d:.]+Z?|[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]+ \+\d{4}|[IWEF]\d{4} [\d:.]+ +\d+|[A-Z][a-z]{2} \d\d, \d{4} \d\d:\d\d UTC)",
    "token": r"[a-z0-9]{6}\.[a-z0-9]{16}",
    "took": r"(?:\d+h)?(?:\d+m(?!s))?[\d.]+(?:µs|us|ms|s)",
    "uid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "word": r"\S+",
}
QUIET = 0.7  # seconds without output after which a terminal waits for what is typed


class Step:
    def __init__(self, where, host, command, terminal, seconds):
        self.where, self.host, self.command, self.terminal, self.seconds = where, host, command, terminal, seconds
        self.typed, self.expected, self.status = [], [], 0


def parse(path):
    """Yields ("title", text), ("text", text) and ("step", Step)."""
    host, step = None, None
    with open(path) as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines, 1):
        begin = re.match(r"\$(t?)(\d*) (.*)", line)
        if line.startswith(("== ", ": ", "@", "# ")) or begin:
            if step:
                yield "step", step
                step = None
        if begin:
            step = Step(f"{path}:{number}", host, begin[3], bool(begin[1]), int(begin[2] or 0))
        elif line.startswith("== "):
            yield "title", line[3:]
        elif line.startswith(": "):
            yield "text", line[2:]
        elif line.startswith("@"):
            host = line[1:]
        elif line.startswith("# ") or step is None:
            continue
        elif line.startswith("> ") or line == ">":
            step.command += "\n" + line[2:]
        elif line.startswith("< "):
            step.typed.append(line[2:])
        elif re.fullmatch(r"!\d+", line):
            step.status = int(line[1:])
        else:
            step.expected.append(line)
    if step:
        yield "step", step


def squeeze(line):
    return re.sub(r"\s+", " ", line.replace("\u00a0", " ")).strip()


class Matcher:
    def __init__(self):
        self.kept = {}

    def fill(self, text):
        return re.sub(r"\{(\w+)\}", lambda m: self.kept.get(m[1], m[0]), text)

    def pattern(self, line):
        if line.startswith("\\"):
            return re.escape(squeeze(line[1:]))
        out, at, line = "", 0, squeeze(self.fill(line))
        for match in re.finditer(r"<(\w+)(?::(\w+))?>", line):
            if match[1] not in KINDS:
                continue
            out += re.escape(line[at:match.start()])
            out += f"(?P<{match[2]}>{KINDS[match[1]]})" if match[2] else f"(?:{KINDS[match[1]]})"
            at = match.end()
        return out + re.escape(line[at:])

    def match(self, expected, printed):
        """None when all lines fit, else the difference as text."""
        def trimmed(lines):
            lines = list(lines)
            while lines and not lines[-1].strip():
                lines.pop()
            return lines
        expected, printed = trimmed(expected), trimmed(printed)
        patterns = [None if line == "..." else re.compile(self.pattern(line)) for line in expected]
        seen = [squeeze(line) for line in printed]
        fits = {}

        def fit(i, j):
            """The captures when patterns from i fit the lines from j, else None."""
            if (i, j) in fits:
                return fits[i, j]
            result = None
            if i == len(patterns):
                result = {} if j == len(seen) else None
            elif patterns[i] is None:
                for k in range(j, len(seen) + 1):
                    if (rest := fit(i + 1, k)) is not None:
                        result = rest
                        break
            elif j < len(seen) and (match := patterns[i].fullmatch(seen[j])) and (rest := fit(i + 1, j + 1)) is not None:
                result = {**match.groupdict(), **rest}
            fits[i, j] = result
            return result

        captured = fit(0, 0)
        if captured is not None:
            self.kept.update(captured)
            return None
        # Lines that fit their pattern are shown as it, so that the difference has only the others.
        shown = [next((e for e, p in zip(expected, patterns) if p and p.fullmatch(s)), line) for line, s in zip(printed, seen)]
        return "\n".join(difflib.unified_diff([self.fill(e) for e in expected], shown, "wanted", "printed", lineterm=""))


def on_host(host, command):
    return [os.environ["HOST_SH"], "exec", host, "env", "-C", "/root", "HOME=/root", "bash", "-c", command]


def run(host, command):
    done = subprocess.run(on_host(host, command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=400)
    return done.stdout.decode("utf-8", "replace"), done.returncode


def run_with_terminal(host, command, typed):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(on_host(host, command)[0], on_host(host, command))
    output, typed, end = b"", list(typed), time.time() + 60
    while time.time() < end:
        if select.select([terminal], [], [], QUIET)[0]:
            try:
                part = os.read(terminal, 65536)
            except OSError:
                break
            if not part:
                break
            output += part
        elif typed and output:
            os.write(terminal, typed.pop(0).encode() + b"\n")
    os.close(terminal)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.decode("utf-8", "replace").replace("\r\n", "\n"))
    return text, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Tour:
    def __init__(self):
        self.matcher, self.document, self.block = Matcher(), [], []
        self.passed = self.failed = 0

    def flush(self):
        if self.block:
            self.document += ["```console", *self.block, "```", ""]
            self.block = []

    def step(self, step):
        command = self.matcher.fill(step.command)
        end, began = time.time() + step.seconds, time.time()
        while True:
            try:
                output, status = run_with_terminal(step.host, command, step.typed) if step.terminal else run(step.host, command)
            except subprocess.TimeoutExpired as late:
                output, status = (late.stdout or b"").decode("utf-8", "replace"), 124
            lines = output.split("\n")
            difference = self.matcher.match(step.expected, lines)
            if difference is None and status != step.status:
                difference = f"exit status {status}, not {step.status}"
            if difference is None or time.time() > end:
                break
            time.sleep(0.3)
        while lines and not lines[-1].strip():
            lines.pop()
        first, *more = command.split("\n")
        self.block += [f"[root@{step.host} ~]# {first}", *("> " + line for line in more)]
        self.block += [line.rstrip() for line in lines]
        took = time.time() - began
        if difference is None:
            self.passed += 1
            print(f"ok   {step.where} {command.splitlines()[0][:110]} ({took:.1f} s)", flush=True)
        else:
            self.failed += 1
            print(f"FAIL {step.where} {command} ({took:.1f} s)\n{difference}", flush=True)

    def play(self, path):
        for kind, what in parse(path):
            if kind == "step":
                self.step(what)
                if self.failed and os.environ.get("STOP"):
                    return
                continue
            self.flush()
            self.document += [f"## {what}" if kind == "title" else what, ""]


def main(out, *scripts):
    tour = Tour()
    for script in scripts:
        tour.play(script)
        if tour.failed and os.environ.get("STOP"):
            break
    tour.flush()
    with open(out, "w") as file:
        file.write("\n".join(tour.document))
    print(f"{tour.passed} passed, {tour.failed} failed")
    return 1 if tour.failed or not tour.passed else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
