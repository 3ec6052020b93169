#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""`make bench`: measures everything with the OpenSSL of this machine and, as root, with that of Debian 13 (tools/trixie.sh), prints the tables with
each goal and whether it is met, and writes them: run.py [--quick] [--here] [--out FOLDER]

    build/bench.json               all that was measured
    docs/benchmarks.md             what stands between its two marks
    docs/benchmarks-3.0.svg, ...   a plot for each OpenSSL

--here leaves out Debian 13, --quick measures little, to try this program out; --out writes everything to another folder. Nothing else should run
on the machine meanwhile: it takes some ten minutes."""
import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time

import files
import goals
import plot

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = files.BUILD
BEGIN, END = "<!-- bench: what stands from here is written by make bench -->", "<!-- bench: to here -->"
PROGRAMS = ("bench", "threads", "stores")
SHORT = {"plain": {"bench": ["75"], "threads": ["31"], "stores": ["11", "3000", "10000"]},
         "quick": {"bench": ["1"], "threads": ["1"], "stores": ["1", "20", "40"]}}


def say(words):
    print(f"\n## {words}\n", flush=True)


def measure(prefix, folder, inside, effort, environment=None):
    """bench, threads and stores of one build folder, as `prefix` reaches it (`inside`) and as we do (`folder`): their JSON."""
    found = {}
    for name in PROGRAMS:
        rounds, *rest = SHORT[effort][name]
        subprocess.run([*prefix, f"{inside}/bench/{name}", rounds, f"{inside}/bench-{name}.json", *rest], cwd=ROOT, env=environment, check=True)
        print(flush=True)
        with open(os.path.join(folder, f"bench-{name}.json"), encoding="utf-8") as file:
            found[name] = json.load(file)
    return found


def measure_here(effort):
    environment = dict(os.environ)
    if "TMPDIR" not in environment and os.access("/dev/shm", os.W_OK):
        environment["TMPDIR"] = "/dev/shm"  # other modules sync each of a thousand objects
    return measure([], BUILD, BUILD, effort, environment)


def measure_trixie(effort):
    """None, and why, where it can't be made."""
    tool = os.path.join(ROOT, "tools", "trixie.sh")
    made = subprocess.run([tool, "make"], cwd=ROOT, capture_output=True, text=True, check=False)
    if made.returncode == 77:
        return None, made.stdout.strip()
    if made.returncode != 0:
        raise RuntimeError(made.stdout[-2000:] + made.stderr[-2000:])
    build = ("[ -e build/build.ninja ] || meson setup build -Dtests=enabled >/dev/null; "
             "ninja -C build --quiet cmek-pkcs11.so " + " ".join(f"bench/{name}" for name in PROGRAMS))
    subprocess.run([tool, "run", "sh", "-ec", build], cwd=ROOT, check=True)
    return measure([tool, "run"], os.path.join(ROOT, "build", "trixie", "build"), "build", effort), ""


def measure_files(effort, out):
    words = ["--size", "32", "--files", "20", "--loop", "2", "--rounds", "1"] if effort == "quick" else []
    target = os.path.join(out, "bench-files.json")
    subprocess.run([os.path.join(ROOT, "bench", "files.py"), *words, target], check=True)
    with open(target, encoding="utf-8") as file:
        return json.load(file)


# --- Tables

def number(value):
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table_of_goals(runs):
    """A figure that is the same whichever OpenSSL there is stands once, with the first."""
    yield "|  |  | " + " | ".join(f"goal | OpenSSL {run.openssl} |  " for run in runs) + "|"
    yield "| :- | :- | " + " | ".join("-: | -: | :-" for run in runs) + " |"
    for rows in zip(*(goals.judged(run) for run in runs)):
        cells = (f"{goal} | {number(value)} | {'' if met is None else 'met' if met else '**not met**'}" for _, _, goal, value, met in rows)
        yield f"| {rows[0][0]} | {rows[0][1]} | " + " | ".join(cells) + " |"


def table_of_works(bench):
    names = [peer["name"] for peer in bench["peers"]]
    yield "|  | " + " | ".join(names) + " |"
    yield "| :- |" + " -: |" * len(names)
    for row in bench["rows"]:
        cells = ("–" if ns is None else f"{ns / 1e3:.2f} µs" + (f" ({speed:.2f})" if speed and name != "libcrypto" else "")
                 for name, ns, speed in zip(names, row["ns"], row["speed"]))
        yield f"| {row['work']} | " + " | ".join(cells) + " |"


def table_of_threads(bench, threads):
    names = [peer["name"] for peer in bench["peers"]]
    yield "| what two threads do, beside one | " + " | ".join(names) + " |"
    yield "| :- |" + " -: |" * len(names)
    for row in threads:
        yield f"| {row['work']} | " + " | ".join("–" if more is None else f"{more:.2f}" for more in row["more"]) + " |"


def table_of_stores(stores):
    yield "| zones in the store | start to first find | making one more |"
    yield "| -: | -: | -: |"
    for row in stores:
        yield f"| {row['zones']:,} | {row['first_find_ms']:.1f} ms | {row['make_ms']:.2f} ms |"


def version_of(run):
    return ".".join(run["openssl"].split(".")[:2])


def system_of(run):
    return ", ".join(peer["version"] for peer in run["bench"]["peers"] if not peer["missing"])


def report(all_found):
    runs = [goals.Run(run["bench"], run["threads"], run["stores"], all_found["files"] if at == 0 else None)
            for at, run in enumerate(all_found["runs"])]
    day = time.strftime("%Y-%m-%d", time.gmtime(all_found["time"]))
    yield f"{all_found['machine']}, {all_found['cores']} cores, {all_found['system']}; {day}, load before it {all_found['load']:.1f}."
    for reason in all_found["missing"]:
        yield f"Not measured: {reason}."
    yield ""
    yield from table_of_goals(runs)
    for run in all_found["runs"]:
        yield from ["", f"### OpenSSL {run['openssl']}", "", system_of(run) + ".", "", f"![Time beside this module](benchmarks-{version_of(run)}.svg)", ""]
        yield from table_of_works(run["bench"])
        yield ""
        yield from table_of_threads(run["bench"], run["threads"])
        yield ""
        yield from table_of_stores(run["stores"])
    yield from ["", "### cmek encrypt and decrypt", ""]
    yield from files.table(all_found["files"])


# --- What is written

def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def write_page(path, lines):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise RuntimeError(f"{path}: has no place for the tables; it wants the lines {BEGIN} and {END}")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    write(path, f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}")


def write_plots(folder, runs):
    for run in runs:
        write(os.path.join(folder, f"benchmarks-{version_of(run)}.svg"), plot.Plot(run["bench"], run["threads"]).draw())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--here", action="store_true")
    parser.add_argument("--out")
    given = parser.parse_args()
    effort, out = "quick" if given.quick else "plain", given.out or BUILD
    load, missing, failed = os.getloadavg()[0], [], False
    if load > 0.5 and not given.quick:
        print(f"bench: something else runs on this machine (load {load:.1f}): the figures will be worse than they are", file=sys.stderr)
    say("With this machine's OpenSSL")
    runs = [measure_here(effort)]
    if not given.here:
        say("With that of Debian 13")
        try:
            run, why = measure_trixie(effort)
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:  # what was measured here is worth telling
            run, why, failed = None, " ".join(str(error).split())[-300:], True
        runs += [run] if run else []
        missing += [] if run else [f"OpenSSL 3.5 ({why})"]
    say("Files on this disk")
    found_files = measure_files(effort, out)
    for run in runs:
        peers = run["bench"]["peers"]
        run["openssl"] = re.search(r"OpenSSL (\S+)", peers[0]["version"]).group(1)
    bench = runs[0]["bench"]
    found = {"time": int(time.time()), "machine": bench["machine"], "cores": bench["cores"], "load": load,
             "system": f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}", "missing": missing, "runs": runs, "files": found_files}
    write(os.path.join(out, "bench.json"), json.dumps(found, indent=1) + "\n")
    lines = list(report(found))
    say("All")
    print("\n".join(lines))
    if given.out is None and effort == "plain":
        write_page(os.path.join(ROOT, "docs", "benchmarks.md"), lines)
    elif given.out:
        write(os.path.join(out, "benchmarks.md"), "\n".join(lines) + "\n")
    write_plots(out if given.out or given.quick else os.path.join(ROOT, "docs"), runs)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
