#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Draws what bench measured: plot.py BENCH.json PLOT.svg; of run.py, what threads measured too.

A line for each work, a mark for each peer: how long it takes beside this module, on a logarithmic scale. So what lies
right of the middle line is slower than this module, what lies left of it is faster. Only ratios of one run are drawn.
"""
import html
import json
import math
import sys
import time

OURS = "cmek-pkcs11"
COLOURS = {"libcrypto": "#6e7781", OURS: "#1a7f37", "NSS softokn": "#9a6700", "SoftHSM2": "#b3261e"}
LEFT, WIDTH, LINE, TOP, FOOT = 372, 560, 26, 64, 58      # points: names, the scale, a line, above and below them


def ratios(row, ours):
    """By peer: time beside ours; None: not measured."""
    mine = row["ns"][ours]
    return [None if ns is None or mine is None else ns / mine for ns in row["ns"]]


def ticks(low, high):
    return [10.0 ** power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def number(value):
    return f"{value:g}" if value < 1000 else f"{value:,.0f}"


class Plot:
    def __init__(self, bench, threads=()):
        self.bench = bench
        self.names = [peer["name"] for peer in bench["peers"]]
        self.rows = [(row["work"], ratios(row, self.names.index(OURS))) for row in bench["rows"]]
        self.rows += [(f"{row['work']}, two threads", ratios(row, self.names.index(OURS))) for row in threads]
        seen = [ratio for _, row in self.rows for ratio in row if ratio] + [0.9, 1.1]
        self.scale = ticks(min(seen), max(seen))
        self.height = TOP + LINE * len(self.rows) + FOOT
        self.parts = []

    def x(self, ratio):
        low, high = math.log10(self.scale[0]), math.log10(self.scale[-1])
        return LEFT + WIDTH * (math.log10(ratio) - low) / (high - low)

    def text(self, x, y, words, anchor="start", more=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{html.escape(words)}</text>')

    def line(self, x, colour, width):
        bottom = TOP + LINE * len(self.rows)
        self.parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{bottom}" stroke="{colour}" stroke-width="{width}"/>')

    def legend(self):
        x = LEFT
        for peer in self.bench["peers"]:
            if not peer["missing"]:
                self.mark(x + 5, 20, peer["name"], peer["version"])
                self.text(x + 15, 24, peer["name"])
                x += 30 + 8 * len(peer["name"])

    def mark(self, x, y, name, title):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{COLOURS.get(name, "#0969da")}">'
                          f'<title>{html.escape(title)}</title></circle>')

    def draw(self):
        self.legend()
        for tick in self.scale:
            self.line(self.x(tick), "#8886", 1)
            self.text(self.x(tick), TOP - 12, number(tick), "middle")
        self.line(self.x(1), COLOURS[OURS], 2)
        for index, (work, row) in enumerate(self.rows):
            y = TOP + LINE * index + LINE / 2
            self.text(LEFT - 16, y + 4, work, "end")
            for name, ratio in zip(self.names, row):
                if ratio:
                    self.mark(self.x(ratio), y, name, f"{work}: {name} takes {ratio:.2f} times as long")
        bench = self.bench
        day = time.strftime("%Y-%m-%d", time.gmtime(bench["time"]))
        self.text(LEFT, self.height - 34, "time beside cmek-pkcs11: left of the line faster, right of it slower")
        self.text(LEFT, self.height - 14, f"{bench['machine']}, {bench['cores']} cores, {bench['peers'][0]['version']}, {day}", more=' fill="#777"')
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 40} {self.height}" '
                f'font-family="sans-serif" font-size="13">\n<rect width="100%" height="100%" fill="#fff"/>\n'
                + "\n".join(self.parts) + "\n</svg>\n")


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        plot = Plot(json.load(file)).draw()
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
