# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""The blocks of docs/consumers.md: page_blocks.py PAGE FOLDER. Those of the shell are written into FOLDER, to be run: NUMBER.sh, and beside it
NUMBER.title and NUMBER.if, a condition and the reason where it does not hold. Of the others each line must stand in the file
that a comment before the block names (of), or each quoted value (values of). Prints TAP."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BLOCK = re.compile(r"(?:<!-- ([^\n]*) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def squeezed(line):
    """Without what a line may differ by: where it is indented, and a comma or a brace that joins it to the next."""
    return " ".join(line.split()).rstrip(",{ ")


def strange(note, text):
    """Lines or values of a block that are not in its file; or a reason why it can't be compared."""
    kind, _, path = (note or "").partition(": ")
    if kind not in ("of", "values of") or not os.path.exists(os.path.join(ROOT, path)):
        return [f"the comment before it, '{note}', names no file"]
    source = read(os.path.join(ROOT, path))
    if kind == "values of":
        return [value for value in re.findall(r'"([^"]*)"', text) if not value.startswith("/") and value not in source]
    lines = [squeezed(line) for line in source.splitlines()]
    return [line for line in text.splitlines() if line.strip() and not any(squeezed(line) in known for known in lines)]


def keep(folder, number, title, note, text):
    for name, content in (("sh", text), ("title", title), ("if", note.removeprefix("if: ") if note and note.startswith("if: ") else "")):
        with open(os.path.join(folder, f"{number:02}.{name}"), "w", encoding="utf-8") as file:
            file.write(content)


def main(page, folder):
    count = failed = 0
    text = read(page)
    for number, block in enumerate(BLOCK.finditer(text)):
        note, language, lines = block[1], block[2], block[3]
        headings = re.findall(r"^##? (.*)$", text[:block.start()], re.MULTILINE)
        title = f"{headings[-1]}, block {number + 1}"
        if language == "sh":
            keep(folder, number, title, note, lines)
            continue
        count += 1
        missing = strange(note, lines)
        failed += bool(missing)
        print(f"{'not ok' if missing else 'ok'} {count} - each line of {title} is one that a test runs")
        print("".join(f"# {line}\n" for line in missing), end="")
    print(f"1..{count}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
