#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""A page names nothing that does not exist: commands with their options and operands, settings, names of PKCS #11, environment
variables, files, sections of other pages, and whatever else stands in backticks as a word of the source. No page is without a line in
docs/README.md. What is typed as it stands is run by tests/e2e/pages.sh and tests/consumers/page.sh. TAP.

    pages.py [ROOT]"""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import tree_words  # noqa: E402
from page_text import Page, commands_of  # noqa: E402

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
ROOT = ROOT.parents[2] if ROOT.is_file() else ROOT
OURS = ("store", "slots", "kms", "zones", "aws", "local", "crypto", "cli", "log")
# Words in backticks that are another program's, which no test calls by them.
STRANGERS = {"aws_signing_helper": "AWS, IAM Roles Anywhere", "child_process": "Node", "CK_PARAMS_AES_GCM": "pkcs11js",
             "--enable-grpc-gateway": "etcd", "--initial-cluster-token": "etcd"}


def manual(path):
    """A page of mdoc, its macros taken off: what it names stands as in the other pages."""
    page = Page(path, ROOT)
    page.blocks = [("sh", 0, text, "") for text in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", page.text, re.M | re.S)]
    page.blocks += [("sh", 0, text, "") for text in re.findall(r"^\.Dl (cmek .*)$", page.text, re.M)]
    page.prose, page.headings = re.sub(r"^\.\w+ ", "", page.text, flags=re.M), re.findall(r"^\.S[hs] (.*)", page.text, re.M)
    page.spans = [re.sub(r"\bFl -", "--", span) for span in re.findall(r"^\.Nm cmek Cm ([^.,;\n]*)", page.text, re.M)]
    page.spans = ["cmek " + re.sub(r" (?:Ar|Fl|Cm) ", " ", re.sub(r" Fl (\w)", r" -\1", span)) for span in page.spans]
    return page


def wrong_commands(page, known):
    for language, number, text, _ in page.blocks:
        for words in commands_of(text) if language in ("sh", "") else ():
            COUNTS["lines that are typed"] += 1
            fault = tree_words.fault_in_line(words, known)
            if fault:
                yield f"{page.name}:{number}: cmek {' '.join(words)}: {fault}"
    for span in page.spans:
        words = [re.sub(r"[\[\].,]+$|^\[", "", word) for word in span.split()]
        if words[0] != "cmek" or len(words) == 1 or words[1].startswith(("-", "…")) or words[1] in ("help", "NOUN", "COMMAND"):
            continue
        COUNTS["commands in sentences"] += 1
        plain = [word for word in words[1:] if word not in ("…", "...")]
        name, taken = tree_words.command_of(plain, known)
        fault = name if not taken else tree_words.fault_in_options(name, [word for part in plain[taken:] for word in part.split("|")], known)
        if fault:
            yield f"{page.name}: `{span}`: {fault}"


def wrong_settings(page, known):
    for language, number, text, _ in page.blocks:
        section = None
        for line in re.sub(r"\n +", " ", text).splitlines() if language == "ini" else ():
            head, pair = re.match(r"\[(.*)\]$", line), re.match(r"(\w+) *= *(.*)", line)
            section = head[1] if head else section
            if section not in OURS or not pair:
                continue
            COUNTS["lines of configuration"] += 1
            form, choices = known.get((section, pair[1]), (None, []))
            bad = form is None or form == "FLAG" and pair[2] not in ("true", "false") or choices and pair[2] not in choices or form == "NUMBER" and not pair[2].isdigit()
            if bad:
                yield f"{page.name}:{number}: [{section}] {line}"
    for section, key in re.findall(rf"\[({'|'.join(OURS)})\] ([a-z][a-z_]+)\b", "\n".join(page.spans)):
        COUNTS["settings in sentences"] += 1
        if (section, key) not in known:
            yield f"{page.name}: `[{section}] {key}`"


PKCS11 = re.compile(r"(?<![\w_])(?:C_[A-Z][A-Za-z]+|CK[A-Z]?_[A-Z0-9_]+|CMEK_(?:ERROR|STATE|EXIT|VERDICT)_[A-Z_]+|KMS_[A-Z_]+)(?![\w…*])")


def wrong_names(page, names):
    for name in PKCS11.findall(page.text):
        COUNTS["names of PKCS #11 and of ours"] += 1
        if name.endswith("_") and any(known.startswith(name) for known in names) or name in names or name in STRANGERS:
            continue
        yield f"{page.name}: {name}"


def wrong_variables(page, known, names):
    for name in re.findall(r"(?<![\w$])\$?((?:AWS|CMEK|XDG|SHORTAGE|OPENSSL|PKCS11)_[A-Z0-9_]*[A-Z0-9])(?![\w…])", page.text):
        COUNTS["environment variables"] += 1
        if name not in known and name not in names and not PKCS11.fullmatch(name):
            yield f"{page.name}: {name}"


PLACES = ("docs", "tests", "tools", "man", "conf", "base", "crypto", "net", "aws", "kms", "zones", "objects", "mechanisms", "session", "pkcs11",
          "envelope", "library", "bindings", "cli", "include", "bench", "packaging", "examples", "build")
FILE = re.compile(rf"(?<![\w./*$~-])((?:{'|'.join(PLACES)})/[\w./*-]*[\w*])")


def wrong_files(page):
    for name in FILE.findall(page.text):
        COUNTS["files"] += 1
        name = name.rstrip(".")
        if name.startswith("build/") or re.search(r"/[A-Z]+\b(?!\.)", name) or any(ROOT.glob(name)) or any(ROOT.glob(name + ".*")) or any(ROOT.glob(name + "-*")):
            continue
        yield f"{page.name}: {name}"


AT_THE_TOP = ("meson_options.txt", "meson.build", "README.md", "CHANGELOG.md", "Makefile")


def wrong_map(page):
    """ARCHITECTURE.md's table of changes: a name without a folder lies in the last one named."""
    if page.name != "ARCHITECTURE.md":
        return
    rows = [row for row in page.text.splitlines() if row.startswith("| ")]
    for change, touched in (row.strip("| ").split(" | ", 1) for row in rows[rows.index("| change | files |") + 1:]):
        folder = "."
        for name in re.findall(r"`([\w./*-]+(?:\.[a-z]+|/|\*))`", touched):
            COUNTS["files of the table of changes"] += 1
            top = folder == "." or name.count("/") > name.endswith("/") or not any(ROOT.glob(f"{folder}/{name}"))
            if not (any(ROOT.glob(name)) if top and ("/" in name or name in AT_THE_TOP) else any(ROOT.glob(f"{folder}/{name}"))):
                yield f"{page.name}: {change}: {name} (after {folder}/)"
            if top and "/" in name:
                folder = name.rstrip("/") if (ROOT / name).is_dir() else name.rpartition("/")[0]


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def wrong_links(page, pages):
    for title, link in re.findall(r"\[([^\]]+)\]\(([^)\s]+)\)", page.prose):
        target, _, part = link.partition("#")
        if "://" in target:
            continue
        COUNTS["links"] += 1
        path = (page.path.parent / target).resolve() if target else page.path
        there = pages.get(path)
        if not path.exists() or part and there and part not in map(anchor, there.headings):
            yield f"{page.name}: [{title}]({link})"
    # A section of another page: docs/store.md, "Large stores"; docs/format.md, 6.1.
    for up, name, rest in re.findall(r"`?(\.\./)?((?:docs/)?[\w-]+\.md)`?\)?((?:, (?:section )?(?:\d(?:\.\d+)?\b|\"[^\"]+\"))+)", page.text.replace("\n", " ")):
        there = not up and pages.get(ROOT / "docs" / name.removeprefix("docs/")) or pages.get(ROOT / name)
        for number, words in re.findall(r", (?:section )?(?:(\d(?:\.\d+)?)\b|\"([^\"]+)\")", rest):
            COUNTS["sections"] += 1
            squeezed = " ".join(words.split()).rstrip(".,;")
            if not there or not any(heading.startswith(f"{number}.") or heading.startswith(f"{number} ") if number else heading == squeezed
                                    for heading in there.headings + bold(there)):
                yield f"{page.name}: {name}, {number or squeezed}"


def bold(page):
    return [" ".join(words.split()).rstrip(".:") for words in re.findall(r"\*\*([^*]+)\*\*", page.text)]


def wrong_words(page, tree):
    """`lower_case_with_underscores` that nothing in the tree says."""
    for span in page.spans:
        for word in re.findall(r"(?<![\w.:/%-])([a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?![\w…*])", span):
            COUNTS["words of the source"] += 1
            if word not in tree and word not in STRANGERS:
                yield f"{page.name}: `{word}`"
    for option in re.findall(r"^(--[a-z][a-z-]+)", "\n".join(page.spans), re.M):
        COUNTS["words of the source"] += 1
        if option[2:] not in tree and option not in tree and option not in STRANGERS:
            yield f"{page.name}: `{option}`"


def wrong_numbers(page, numbers):
    for number in re.findall(r"ulDeviceError (\d+)", page.text) + (re.findall(r"^\| (\d{3})(?:, \d{3})* \|", page.text, re.M) if page.name == "docs/errors.md" else []):
        COUNTS["numbers of errors"] += 1
        if int(number) not in numbers:
            yield f"{page.name}: ulDeviceError {number}"


def tree_of_words():
    found = set()
    for folder in (*PLACES, "Makefile", "meson_options.txt"):
        if folder in ("build", "docs"):
            continue
        top = ROOT / folder
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and path.suffix != ".md":
                text = path.read_text(encoding="utf-8", errors="replace")
                found |= set(re.findall(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+", text)) | set(re.findall(r"--[a-z][a-z-]+", text))
                found |= set(re.findall(r'\{ "([a-z][a-z-]+)"', text)) if path.name == "commands.c" else set()
    units = [path.relative_to(ROOT / "tests/unit").with_suffix("").as_posix().replace("/", "_") for path in ROOT.glob("tests/unit/**/*.c")]
    return found | set(units) | {f"test_{unit}" for unit in units}


def unlisted(pages):
    """Pages of docs/ and the manuals without a line in docs/README.md."""
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    for page in pages.values():
        if page.name.startswith("docs/") and page.name != "docs/README.md" and f"]({page.name.removeprefix('docs/')})" not in index:
            yield page.name


COUNTS = {}
# A fault of each kind, which must be found.
PLANTED = (
    ("docs/x.md", "# X\n\n```sh\ncmek tree --usages\n```\n"), ("docs/x.md", "    cmek database show one two\n"), ("docs/x.md", "see `cmek databse list`"),
    ("docs/x.md", "```ini\n[store]\nendpiont = x\n```\n"), ("docs/x.md", "```ini\n[slots]\nfree = maybe\n```\n"), ("docs/x.md", "`[kms] lease_second = 3`"),
    ("docs/x.md", "CKR_KEY_FORGOTTEN"), ("docs/x.md", "(ulDeviceError 999)"), ("docs/x.md", "by AWS_NEVER" "_HEARD_OF"), ("docs/x.md", "tests/e2e/nothing.sh"),
    ("ARCHITECTURE.md", "| change | files |\n|---|---|\n| a thing | `base/map.c`, `mop.c` |\n"), ("docs/x.md", "[x](glossary.md#wrods)"),
    ("docs/x.md", "docs/store.md, \"Small stores\""), ("docs/x.md", "docs/format.md, 9.1"), ("docs/x.md", "by `root_of" "_all_keys`"), ("docs/x.md", "```json\n{,}\n```\n"),
)


def wrong_json(page):
    for language, number, text, _ in page.blocks:
        if language != "json":
            continue
        COUNTS["blocks of JSON"] += 1
        try:
            json.loads(text)
        except ValueError as error:
            yield f"{page.name}:{number}: {error}"


def kinds(pages):
    """What is looked for: a sentence, who finds it, and what he counts."""
    known, settings, names = tree_words.commands(ROOT), tree_words.settings(ROOT), tree_words.pkcs11_names(ROOT)
    numbers = {int(line.split()[1], 0) for line in (ROOT / "tests/checks/cmek_numbers.txt").read_text().splitlines() if line.startswith("CMEK_ERROR_")}
    variables, tree = tree_words.variables(ROOT), tree_of_words()
    return (
        ("each cmek command is one, with these options and operands", lambda page: wrong_commands(page, known), ("lines that are typed", "commands in sentences")),
        ("each setting is one, with a value that it takes", lambda page: wrong_settings(page, settings), ("lines of configuration", "settings in sentences")),
        ("each name of PKCS #11, of cmek.h and of a status is one", lambda page: wrong_names(page, names), ("names of PKCS #11 and of ours",)),
        ("each number of an error is one", lambda page: wrong_numbers(page, numbers), ("numbers of errors",)),
        ("each environment variable is known", lambda page: wrong_variables(page, variables, names), ("environment variables",)),
        ("each file is there", wrong_files, ("files",)),
        ("each file that a change touches is there, where ARCHITECTURE.md says", wrong_map, ("files of the table of changes",)),
        ("each link and each section that is referred to is there", lambda page: wrong_links(page, pages), ("links", "sections")),
        ("each word of the source is one", lambda page: wrong_words(page, tree), ("words of the source",)),
        ("JSON is JSON", wrong_json, ("blocks of JSON",)),
    )


def results(pages):
    looked_for = kinds(pages)
    for title, wrong, counted in looked_for:
        COUNTS.update(dict.fromkeys(counted, 0))
        faults = [fault for page in pages.values() for fault in wrong(page)]
        yield title, faults, ", ".join(f"{COUNTS[kind]} {kind}" for kind in counted), all(COUNTS[kind] for kind in counted)
    yield "each page is in docs/README.md", list(unlisted(pages)), f"{len(pages)} pages", len(pages) > 30
    length = len((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines())
    yield "ARCHITECTURE.md is one page", [f"{length} lines"] if length > 100 else [], f"{length} lines", True
    planted = [Page(ROOT / name, ROOT, text) for name, text in PLANTED]
    blind = [page.text for page in planted if not any(fault for _, wrong, _ in looked_for for fault in wrong(page))]
    yield "a planted fault is found", blind, f"{len(planted)} faults", True


def main():
    paths = [path for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "tests/*/README.md", "packaging/**/*.md") for path in ROOT.glob(pattern)
             if path.name not in ("CHANGELOG.md", "BRIEF.md")]
    pages = {path: Page(path, ROOT) for path in sorted(paths)} | {path: manual(path) for path in sorted(ROOT.glob("man/*.[158]"))}
    failed, number = False, 0
    for number, (title, faults, count, enough) in enumerate(results(pages), 1):
        failed = failed or bool(faults) or not enough
        print("".join(f"# {fault}\n" for fault in faults) + f"{'ok' if enough and not faults else 'not ok'} {number} - {title} ({count})")
    print(f"1..{number}")
    return failed


sys.exit(main())
