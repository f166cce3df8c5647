#!/usr/bin/env python3
"""Makes docs/demo.svg: runs the demo, asks it with dig, and draws both terminals as they were.

    cargo build --release && python3 docs/demo.py      (PORTCULLIS names another program)

Needs dig (Debian: bind9-dnsutils). Each wait has a limit.
"""

import html
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = os.environ.get("PORTCULLIS") or ROOT / "target" / "release" / "portcullis"
LIMIT = 20.0

# What is typed into the second terminal.
QUESTIONS = ["linkedin.com", "www.wikipedia.org", "notlinkedin.example.com"]

LINE, CHAR, MARGIN = 19, 8.05, 18
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "2": "#8b949e", "0": None}


class Demo:
    """The running demo and what it has printed so far."""

    def __init__(self):
        self.child = subprocess.Popen([PROGRAM, "demo"], stdout=subprocess.PIPE, text=True)
        self.lines = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait(self, what, ready):
        end = time.monotonic() + LIMIT
        while not ready(self.lines):
            if time.monotonic() > end:
                sys.exit(f"demo.py: waited {LIMIT:.0f} s for {what}")
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait(LIMIT)


def dig(port, question):
    """The lines of dig's reply that matter."""
    command = ["dig", "@127.0.0.1", "-p", port, *question.split(), "+noall", "+comments", "+answer"]
    reply = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True).stdout
    keep = []
    for line in reply.splitlines():
        if status := re.search(r"status: \w+", line):
            keep.append(f";; {status[0]}")
        elif line.startswith("; EDE") or (line and not line.startswith(";")):
            keep.append(line.replace("\t", " "))
    return keep


def draw(panes):
    """Terminals, one below the other, as SVG."""
    width = max(len(line) for _, lines in panes for line in lines) * CHAR + 2 * MARGIN
    body, top = [], 0
    for title, lines in panes:
        height = len(lines) * LINE + 52
        body.append(f'<rect x="0.5" y="{top + 0.5}" width="{width - 1:.0f}" height="{height}" rx="8"/>')
        body.append(f'<text class="t" x="{MARGIN}" y="{top + 24}">{html.escape(title)}</text>')
        for number, line in enumerate(lines):
            colour = "#e6edf3"
            if line.startswith("$ "):
                colour = "#79c0ff"
            elif " blocked " in line or "status: NXDOMAIN" in line or "EDE" in line:
                colour = COLOURS["31"]
            elif " pass " in line:
                colour = COLOURS["2"]
            y = top + 50 + number * LINE
            body.append(f'<text x="{MARGIN}" y="{y}" fill="{colour}" xml:space="preserve">{html.escape(line)}</text>')
        top += height + 12
    style = (
        "rect{fill:#0d1117;stroke:#30363d}"
        "text{font:13.4px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}"
        ".t{fill:#8b949e;font-size:12px}"
    )
    title = "portcullis demo, and dig asking it"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {top - 11}" role="img" aria-label="{title}">'
        f"<title>{title}</title><style>{style}</style>\n" + "\n".join(body) + "\n</svg>\n"
    )


def main():
    with Demo() as demo:
        demo.wait("the demo's introduction", lambda lines: any("Ctrl-C" in line for line in lines))
        port = next(re.search(r"127\.0\.0\.1:(\d+)", line)[1] for line in demo.lines if "127.0.0.1:" in line)
        intro = len(demo.lines)
        asked = []
        for question in QUESTIONS:
            asked.append(f"$ dig @127.0.0.1 -p {port} {question}")
            asked += dig(port, question)
        demo.wait(
            f"{len(QUESTIONS)} lines of the log",
            lambda lines: sum(" udp " in line for line in lines[intro:]) >= len(QUESTIONS),
        )
        shown = [line for line in demo.lines[:2] if line] + [line for line in demo.lines[intro:] if line]
    first = ["$ portcullis demo", *shown]
    (ROOT / "docs" / "demo.svg").write_text(draw([("first terminal", first), ("second terminal", asked)]))


if __name__ == "__main__":
    main()
