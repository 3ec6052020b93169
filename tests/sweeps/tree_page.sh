#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The page of `cmek tree --html` in a browser: what it shows after its markup was parsed, that it asks for nothing, and
# that names which look like markup stay names.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

if ! command -v chromium >/dev/null; then
    skip "the page in a browser" "there is no chromium here"
    finish
fi
browse() { # OPTION...: the page, with a profile of its own, and no network but what the page asks for
    HOME=$work timeout 120 chromium --headless --no-sandbox --disable-gpu --disable-background-networking --disable-sync \
        --disable-component-update --no-first-run --disable-dev-shm-usage --user-data-dir="$work/profile" "$@" "file://$work/page.html"
}
shown() { # PYTHON: of `page`, a list of (path of tags, text), and `text`, all of it
    python3 - "$work/dom.html" "$1" <<'PY'
import html.parser, sys
class Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.page, self.tags = [], [], []
    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "br"):
            self.open.append(tag)
    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass
    def handle_data(self, data):
        if "style" not in self.open:
            self.page.append(("/".join(self.open), data))
reader = Reader()
reader.feed(open(sys.argv[1], encoding="utf-8").read())
page, tags, text = reader.page, reader.tags, " ".join("".join(data for _, data in reader.page).split())
sys.exit(not eval(sys.argv[2]))
PY
}

new_project demo
cd "$work" || exit 1
ok "a key whose name looks like markup" "$cmek" key create --project demo local:odd --label '<img src=x>&amp;"'
ok "a cluster" "$cmek" cluster create --project demo main --key root --region here
ok "a database to rotate by age" "$cmek" database create --project demo --rotate-days 20 main/orders
ok "one that is deleted" "$cmek" database create --project demo main/gone
ok "it awaits deletion" "$cmek" database delete --project demo main/gone
ok "a second version" "$cmek" database rotate --project demo main/orders
ok "a key is disabled" "$cmek" key disable --project demo '<img src=x>&amp;"'
ok "the page is written" "$cmek" tree --html page.html
refused "a page that is there stays" "$cmek" tree --html page.html
ok "unless it is to be replaced" "$cmek" tree --html page.html --force
refused "one answer has one form" "$cmek" tree --html other.html --json
ok "a browser reads it" browse --dump-dom
cp "$work/.last" dom.html
ok "the database, its zone and both versions" shown 'text.count("main/orders") == 2 and "zone " in text and any(p.endswith("table/tbody/tr/td") and t == "2" for p, t in page)'
ok "the new version wraps, the old one opens" shown '"wraps and opens" in text and any(t.strip() == "opens" for _, t in page)'
ok "what is due: a rotation, a removal, a disabled key" shown '"a new key version" in text and "removed for good" in text and "what its KMS says" in text'
ok "the deleted database is not in the hierarchy" shown '"awaits deletion" in text and not any("summary" in p and t == "main/gone" for p, t in page)'
ok "the odd name is text, and no element" shown '"<img src=x>&amp;\"" in text and not any(tag == "img" for tag, _ in tags)'
ok "nothing is run or fetched" shown 'not any(tag in ("script", "link", "iframe", "object") or {"src", "href", "onclick"} & set(of) for tag, of in tags)'
ok "a picture of it can be taken" browse --screenshot="$work/page.png" --window-size=1000,900
ok "which is a PNG" python3 -c 'import sys; sys.exit(open(sys.argv[1], "rb").read(8) != b"\x89PNG\r\n\x1a\n")' page.png
finish
