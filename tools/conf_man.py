#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Writes man/cmek.conf.5 from conf/cmek.conf, which explains every setting: conf_man.py [--check]. With --check it says whether the page
is that already."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEAD = """.\\" Made from conf/cmek.conf by tools/conf_man.py.
.Dd January 1, 2026
.Dt CMEK.CONF 5
.Os
.Sh NAME
.Nm cmek.conf
.Nd the settings of the PKCS #11 module cmek-pkcs11 and its tool cmek
.Sh DESCRIPTION
"""
TAIL = """.Sh FILES
.Bl -tag -width Ds -compact
.It Pa ~/.config/cmek-pkcs11/cmek.conf , Pa /etc/cmek-pkcs11/cmek.conf
The first that exists is read.
.El
.Sh SEE ALSO
.Xr cmek 1 ,
.Xr cmek-pkcs11 8
"""


def prose(text):
    """A sentence a line, as mdoc wants it."""
    text = text.replace("\\", "\\e")
    lines = re.sub(r"([.;:?]) +(?=[A-Z0-9\[])", r"\1\n", text).split("\n")
    return "".join(("\\&" if line[:1] in ".'" else "") + line + "\n" for line in lines)


def groups(lines):
    """(comment, settings) in turn: the words before settings that follow each other."""
    comment, settings = [], []
    for line in lines:
        setting = re.fullmatch(r"#(\w+ = .*)", line)
        if setting:
            settings.append(setting[1])
            continue
        if settings or not line:
            if comment or settings:
                yield " ".join(comment), settings
            comment, settings = [], []
        if line.strip("# "):
            comment.append(re.sub(r"^# ?", "", line))
    if comment or settings:
        yield " ".join(comment), settings


def section(name, lines):
    out = [f".Ss [{name}]\n"]
    for comment, settings in groups(lines):
        if not settings:
            out.append(prose(comment))
            continue
        out.append(".Bl -tag -width Ds\n" + "".join(f".It Li {setting}\n" for setting in settings) + (prose(comment) if comment else "") + ".El\n")
    return "".join(out)


def page(text):
    text = text[text.index("\n\n") + 2:] if text.startswith("# SPDX") else text
    intro, *parts = re.split(r"^\[(\w+)\]\n", text, flags=re.M)
    body = "".join(section(name, lines.splitlines()) for name, lines in zip(parts[::2], parts[1::2]))
    return HEAD + ".Pp\n".join(prose(comment) for comment, _ in groups(intro.splitlines())) + ".Sh SETTINGS\n" + body + TAIL


def main():
    path = ROOT / "man" / "cmek.conf.5"
    made = page((ROOT / "conf" / "cmek.conf").read_text(encoding="utf-8"))
    if "--check" in sys.argv[1:]:
        sys.exit(0 if path.exists() and path.read_text(encoding="utf-8") == made else "man/cmek.conf.5 is not made from conf/cmek.conf as it is; run tools/conf_man.py")
    path.write_text(made, encoding="utf-8")


main()
