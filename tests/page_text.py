# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""A page of the documents, taken apart: prose, what stands in backticks, and blocks, of which those of the shell can be typed.

    page_text.py PAGE              its headings that have lines to type, with how many of them are cmek's
    page_text.py PAGE HEADING      these lines, as a program for the shell
    page_text.py PAGE HEADING LANGUAGE    its blocks in that language, instead
    page_text.py PAGE --blocks     its headings with the language of each block, which are to be run"""

import pathlib
import re
import sys

FENCE = re.compile(r"^ *```(\w*)")
# A line to type that stands by itself, indented.
TYPED = re.compile(r"^ {4,}(?=(?:[A-Z_]+=\S+ )?(?:cmek|rescue\.py|tools/rescue\.py|openssl) )")


class Page:
    """A page as prose and blocks: (language, first line, text, heading); headings; spans are what stands in backticks."""

    def __init__(self, path, root, text=None):
        self.path, self.name = path, path.relative_to(root).as_posix()
        self.text = path.read_text(encoding="utf-8") if text is None else text
        self.blocks, self.headings, prose, block = [], [], [], None
        for number, line in enumerate(self.text.splitlines(), 1):
            fence = FENCE.match(line)
            if fence and block is None:
                block = (fence[1], number, [])
            elif fence:
                self.blocks.append((*block[:2], "\n".join(block[2]), (self.headings or [""])[-1]))
                block = None
            elif block is not None:
                block[2].append(line)
            else:
                if re.match(r"#+ ", line):
                    self.headings.append(line.strip("# "))
                typed = TYPED.match(line)
                if typed:
                    self.blocks.append(("sh", number, line.strip(), (self.headings or [""])[-1]))
                prose.append("" if typed else line)
        self.prose = "\n".join(prose)
        self.spans = [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", self.prose)]


def commands_of(text):
    """The words after `cmek` of each such command in lines of the shell."""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        bare = re.sub(r"(^|\s)#.*$", "", line)
        for part in re.split(r"\||&&|;", re.sub(r"(['\"]).*?\1", "X", bare)):
            part = re.sub(r"^\s*(?:[A-Z_]+=\S*\s+)*", "", part)
            if part.startswith("cmek "):
                yield re.sub(r"\s[<>]\s*\S+", "", part).split()[1:]


def main(path, heading=None, wanted="sh"):
    page = Page(pathlib.Path(path), pathlib.Path(path).parent)
    if heading == "--blocks":
        print("\n".join(f"{title}: {language}" for language, _, _, title in page.blocks))
        return
    blocks = [(title, text) for language, _, text, title in page.blocks if language == wanted]
    if heading is not None:
        print("\n".join(text for title, text in blocks if title == heading))
        return
    for title in dict.fromkeys(title for title, _ in blocks):
        print(sum(1 for other, text in blocks if other == title for _ in commands_of(text)), title)


if __name__ == "__main__":
    main(*sys.argv[1:])
