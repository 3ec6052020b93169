#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""The packages for Python, Go and Java: bindings.py [FOLDER], build/packages unless told otherwise, which is made anew.

    python/   wheel and sdist, by setuptools: for pip
    go/       what a proxy of Go modules serves: GOPROXY=file://FOLDER/go
    maven/    a repository with the jar and its pom.xml, by javac: for Maven, or for a class path

The same sources give the same bytes, with the same setuptools and JDK. What can't be made here is left out and named, and the exit
status is 77; it is 1 if a package fails, or has another version than meson.build."""

import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ROOT / "bindings"
GO_MODULE = re.search(r"^module (\S+)$", (SOURCES / "go/go.mod").read_text(), re.M)[1]
JAVA_LEAST = 22  # java.lang.foreign


class Absent(Exception):
    """Something that a package is made with is not here."""


def made_at():
    """When the sources were made: of their commit, of the archive, or as the caller says."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    if (ROOT / ".git").exists() and shutil.which("git"):
        commit = subprocess.run(["git", "-C", ROOT, "log", "-1", "--format=%ct"], capture_output=True, text=True)
        if commit.returncode == 0 and commit.stdout.strip():
            return int(commit.stdout)
    return int((ROOT / "meson.build").stat().st_mtime)


def version():
    ours = re.search(r"^ *version: '([^']+)',$", (ROOT / "meson.build").read_text(), re.M)[1]
    for path, pattern in (("python/pyproject.toml", r'^version = "(.*)"'), ("java/pom.xml", r"^  <version>(.*)</version>")):
        found = re.search(pattern, (SOURCES / path).read_text(), re.M)[1]
        if found != ours:
            sys.exit(f"bindings/{path} has version {found}, and meson.build {ours}.")
    return ours


def write_zip(path, files):
    """Of names and contents, in the order of the names; a jar wants its manifest first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files, key=lambda name: (not name.startswith("META-INF/"), name)):
            entry = zipfile.ZipInfo(name, time.gmtime(made_at())[:6])
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name])


def packed_again(path):
    """An sdist whose files have one time and no owner."""
    out = io.BytesIO()
    with tarfile.open(path) as given, tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as taken:
        for member in sorted(given.getmembers(), key=lambda member: member.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname, member.pax_headers = made_at(), 0, 0, "", "", {}
            member.mode = 0o755 if member.isdir() else 0o644
            taken.addfile(member, given.extractfile(member) if member.isfile() else None)
    path.write_bytes(gzip.compress(out.getvalue(), mtime=0))


def python(folder, work, number):
    """By the standard backend, of the system's Python, in a copy: it writes beside the sources."""
    interpreter = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
    if subprocess.run([interpreter, "-c", "import setuptools, wheel"], capture_output=True).returncode:
        raise Absent("setuptools or wheel is not here ('tools/deps.sh bindings' installs them)")
    folder.mkdir()
    shutil.copytree(SOURCES / "python", work / "python", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    shutil.copy(ROOT / "LICENSE", work / "python")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(made_at()), "PYTHONDONTWRITEBYTECODE": "1"}
    for what in ("wheel", "sdist"):
        subprocess.run([interpreter, "-c", f"from setuptools.build_meta import build_{what} as build; build({str(folder)!r})"],
                       cwd=work / "python", env=environment, check=True, capture_output=True)
    packed_again(folder / f"cmek-{number}.tar.gz")


def go(folder, _, number):
    """The files that a proxy answers with; what they are is said in https://go.dev/ref/mod#goproxy-protocol."""
    place = folder / GO_MODULE / "@v"
    sources = {path.name: path.read_bytes() for path in (SOURCES / "go").iterdir() if path.name == "go.mod" or path.suffix == ".go"}
    sources["LICENSE"] = (ROOT / "LICENSE").read_bytes()
    write_zip(place / f"v{number}.zip", {f"{GO_MODULE}@v{number}/{name}": data for name, data in sources.items()})
    (place / f"v{number}.mod").write_bytes(sources["go.mod"])
    (place / f"v{number}.info").write_text(json.dumps({"Version": f"v{number}", "Time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(made_at()))}))
    (place / "list").write_text(f"v{number}\n")


def compiler():
    candidates = [shutil.which("javac"), *sorted(pathlib.Path("/usr/lib/jvm").glob("*/bin/javac"))]
    for javac in filter(None, candidates):
        said = subprocess.run([javac, "-version"], capture_output=True, text=True)
        found = re.search(r"javac (\d+)", said.stdout + said.stderr)
        if found and int(found[1]) >= JAVA_LEAST:
            return javac
    raise Absent(f"there is no JDK that has java.lang.foreign, which is {JAVA_LEAST} or later")


def java(folder, work, number):
    sources, classes = sorted((SOURCES / "java/src/main/java").rglob("*.java")), work / "classes"
    subprocess.run([compiler(), "--release", str(JAVA_LEAST), "-d", classes, *sources], check=True, capture_output=True)
    pom = (SOURCES / "java/pom.xml").read_bytes()
    files = {path.relative_to(classes).as_posix(): path.read_bytes() for path in classes.rglob("*.class")}
    files["META-INF/MANIFEST.MF"] = f"Manifest-Version: 1.0\r\nImplementation-Version: {number}\r\nAutomatic-Module-Name: cmek\r\n\r\n".encode()
    files["META-INF/LICENSE"], files["META-INF/maven/cmek/cmek/pom.xml"] = (ROOT / "LICENSE").read_bytes(), pom
    place = folder / "cmek/cmek" / number
    write_zip(place / f"cmek-{number}.jar", files)
    (place / f"cmek-{number}.pom").write_bytes(pom)
    for path in sorted(place.iterdir()):  # Maven looks at these
        path.with_name(f"{path.name}.sha1").write_text(hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest() + "\n")


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/packages").resolve()
    number, status = version(), 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in (("python", python), ("go", go), ("maven", java)):
        shutil.rmtree(folder / name, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="cmek-bindings.") as work:
            try:
                make(folder / name, pathlib.Path(work), number)
            except Absent as reason:
                print(f"{folder / name} is left out: {reason}.", file=sys.stderr)
                status = 77
            except subprocess.CalledProcessError as fault:
                sys.exit(f"No package is made: {(fault.stderr or fault.stdout).decode(errors='replace')}")
        for path in sorted((folder / name).rglob("*")) if (folder / name).exists() else ():
            if path.suffix in (".whl", ".gz", ".zip", ".jar"):
                print(path)
    return status


if __name__ == "__main__":
    sys.exit(main())
