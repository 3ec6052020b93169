#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""What a container's recipe does, as scripts for fresh systems: containerfile.py CONTAINERFILE FOLDER writes FOLDER/stage-N.sh.

The folder is /exchange in those systems, and the build's context. What a later stage copies from an earlier one goes by it. An
instruction that is not known here is an error: none is passed over, but those that say only how an image is run. The last stage ends
with its own command, as its user, given `project create a-project-in-a-container`.
"""
import json
import os
import shlex
import sys


def instructions(path):
    with open(path, encoding="utf-8") as file:
        text = "".join(line for line in file if not line.startswith("#")).replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip():
            yield line.split(None, 1)


def copy(sources, target):
    return f"mkdir -p {target} && cp -R {' '.join(sources)} {target}"


class Stage:
    def __init__(self):
        self.lines, self.user, self.entry = ["set -e"], None, None

    def add(self, name, rest):
        if name == "RUN":
            self.lines.append(f"cd / && ({rest})")
        elif name == "COPY":
            words = [word for word in rest.split() if not word.startswith("--")]
            self.lines.append(copy([f"/exchange/{word.lstrip('/')}" for word in words[:-1]], words[-1]))
        elif name == "ENV":
            self.lines.append(f"export {rest}")
        elif name == "USER":
            self.user = rest
        elif name == "ENTRYPOINT":
            self.entry = json.loads(rest)
        elif name not in ("VOLUME", "CMD"):
            sys.exit(f"{name} is not known here")

    def end(self):
        user = f"setpriv --reuid {self.user} --regid {self.user} --clear-groups " if self.user else ""
        self.lines.append(f"exec {user}{shlex.join(self.entry)} project create a-project-in-a-container")


def main():
    stages = []
    for name, rest in instructions(sys.argv[1]):
        if name == "FROM":
            if not rest.startswith("debian:trixie-slim"):
                sys.exit(f"{rest}: the fresh system is Debian 13")
            stages.append(Stage())
        else:
            stages[-1].add(name, rest)
        if name == "COPY" and "--from=" in rest:
            stages[0].lines += [copy([word], f"/exchange{os.path.dirname(word)}") for word in rest.split()[1:-1]]
    stages[-1].end()
    for number, stage in enumerate(stages, 1):
        with open(os.path.join(sys.argv[2], f"stage-{number}.sh"), "w", encoding="utf-8") as file:
            file.write("\n".join(stage.lines) + "\n")


if __name__ == "__main__":
    main()
