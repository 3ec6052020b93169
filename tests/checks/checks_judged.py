#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""The checks of the sources find what they are for: faults are planted in a copy, and each has to be told by its own sentence, with
the file in which it stands. TAP."""

import os
import pathlib
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHECKS = ROOT / "tests" / "checks"
HOUSES = ("include", "base", "crypto", "net", "aws", "kms", "zones", "objects", "mechanisms", "session", "pkcs11", "envelope", "library", "cli")

# check, what it says of a fault, the file, what is added to it (or, a pair: replaced in it)
FAULTS = (
    ("layers.sh", "base/ includes only downward", "base/bytes.c", '#include "kms/kms.h"\n'),
    ("layers.sh", "zones/model/ includes only downward", "zones/model/entry.c", '#include "zones/ezk/ezk.h"\n'),
    ("layers.sh", "kms/aws/ includes only downward", "kms/aws/body.c", '#include "not/there.h"\n'),
    ("layers.sh", "envelope/ includes only downward", "envelope/find.c", '#include "crypto/aes.h"\n'),
    ("layers.sh", "library/ includes only downward", "library/find.c", '#include "cli/cli.h"\n'),
    ("layers.sh", "cli/ includes only downward", "cli/tree.c", '# if 0\n# include "zones/domain/zones.h"\n# endif\n'),
    ("layers.sh", "each folder with sources is a room", "zones/backup/backup.c", "int x;\n"),
    ("layers.sh", "meson.build has the rooms in the same order", "meson.build", ("'net', 'aws',", "'aws', 'net',")),
    ("layers.sh", "<openssl/…> is the business of", "objects/value.c", "#include <openssl/evp.h>\n"),
    ("layers.sh", "<curl/…> is the business of", "aws/sts.c", "#include <curl/curl.h>\n"),
    ("layers.sh", "<sqlite3…> is the business of", "zones/store/store.c", "#include <sqlite3.h>\n"),
    ("layers.sh", "<jansson…> is the business of", "net/http.c", "#include <jansson.h>\n"),
    ("layers.sh", "net/http.h is included only in", "zones/kms/door.c", '#include "net/http.h"\n'),
    ("layers.sh", "aws/ is included only in", "objects/token.c", '#include "aws/sts.h"\n'),
    ("layers.sh", "zones/store/sqlite/ is included only in", "zones/domain/zone.c", '#include "zones/store/sqlite/engine.h"\n'),
    ("layers.sh", "kms/local/ is included only in", "zones/domain/zone.c", '#include "kms/local/local.h"\n'),
    ("layers.sh", "decrypt|generate_data_key", "zones/ezk/lease.c", "int y = client->operations->decrypt(client);\n"),
    ("layers.sh", "generate_data_key|re_encrypt", "zones/domain/edit.c", "int y = client->operations->re_encrypt(client);\n"),
    ("layers.sh", "(kms_clients_find|kms_route_next|kms_turn_begin): called", "zones/domain/cluster.c", "int z = kms_turn_begin(NULL);\n"),
    ("layers.sh", "store->operations->(read|find|write|bring|describe|look_at|create|examine): called", "objects/store.c", "int v = store->operations->write(store);\n"),
    ("layers.sh", "bring|describe|look_at|create|examine): called", "objects/report.c", "int v = store->operations->look_at(store);\n"),
    ("layers.sh", "nanosleep", "session/run.c", "int w = nanosleep(NULL, NULL);\n"),
    ("layers.sh", "objects/ and above know no AWS", "session/find.c", 'static const char *u = "kms.amazonaws.com";\n'),
    ("layers.sh", "only providers say what their ARNs are", "cli/tree.c", 'static const char *t = "arn:aws:kms";\n'),
    ("headers.py", "a function is declared in the room that defines it", "session/run.c", "\nint map_of_all(void)\n{\n\treturn 1;\n}\n"),
    ("headers.py", "a function is declared in the room that defines it", "base/map.h", "int map_of_all(void);\n"),
    ("headers.py", "each function that is not static is declared in a header", "base/map.c", "\nbool map_unknown(const char *a)\n{\n\treturn !a;\n}\n"),
    ("headers.py", "each is declared once", "net/form.h", "struct map *map_of_all(int (*of)(int));\nint map_of_all(void);\n"),
    ("headers.py", "each source includes its own header first", "base/map.c", ('#include "base/map.h"', '#include <errno.h>\n#include "base/map.h"')),
    ("headers.py", "includes stand in one order", "kms/silence.c", ('#include "base/free.h"\n', '#include <errno.h>\n\n#include "base/free.h"\n')),
    ("headers.py", "includes stand in one order", "kms/silence.c", ("#include <stdio.h>\n", '#include <stdio.h>\n#include "base/map.h"\n')),
    ("cmek_header.py", "each number of cmek.h is what it was", "include/cmek.h", ("316UL", "416UL")),
    ("cmek_header.py", "each stands in the list", "include/cmek.h", "#define CMEK_ERROR_OTHER 420UL\n"),
    ("typed.py", "every command is typed", "man/cmek.1", (".Nm\n.Cm maintain\n", ".Nm\n.Cm mend\n.Nm\n.Cm maintain\n")),
    ("typed.py", "every option of each", "man/cmek.1", (".Op Fl -wipe-old\n", ".Op Fl -wipe-old\n.Op Fl -wipe-new\n")),
    ("typed.py", "every setting", "pkcs11/config.c", ('{ "store",  "prefix",', '{ "store",  "suffix",')),
    ("readme.py", "each program that a suite names is in the table", "README.md", ("| pkcs11-tool, ", "| ")),
    ("readme.py", "no other is", "README.md", ("Rust cryptoki, ", "Rust cryptoki, HSM tools, ")),
    ("readme.py", "at a tier that its suite has", "README.md", ("Go crypto11 |\n| loads and lists | see tokens and keys | ", "Go crypto11, OpenSSH |\n| loads and lists | see tokens and keys | ")),
    ("cmek_header.py", "no two of a kind are the same", "include/cmek.h", "#define CMEK_ERROR_SAME 301UL\n"),
    ("pipes.py", "no ! stands before a pipe", "tests/e2e/store.sh", "clean() {\n    ! find . \\\n        -name '.cmek-*' 2>&1 |\n        grep .\n}\n"),
    ("pipes.py", "no ! stands before a pipe", "tests/e2e/rules.sh", "ok \"all is gone\" sh -c '! ldconfig -p | grep libcmek'\n"),
    ("pipes.py", "no pipe ends in grep -q", "tests/e2e/files.sh", "has() { \"$cmek\" tree | grep -E -q \"$1\"; }\n"),
    ("pipes.py", "no two outputs are compared", "tests/e2e/backup.sh", 'same() { diff -u <(ids "$1") <(ids "$2"); }\n'),
    ("pipes.py", "no loop reads what may fail", "tests/sweeps/queue.sh", "while read -r one; do :; done < <(find .)\n"),
    ("vectors.py", "each mechanism is in the table of vectors", "mechanisms/mechanism.c", ("{ CKM_AES_CTR, ", "{ CKM_AES_XTS, ")),
    ("vectors.py", "and whose files a test brings to what they are of", "docs/mechanisms.md", ("| `hkdf.txt` |", "| `aes_kw.txt` |")),
)


def plant(tree, path, fault):
    file = tree / path
    file.parent.mkdir(parents=True, exist_ok=True)
    text = file.read_text() if file.exists() else ""
    if isinstance(fault, tuple):
        assert fault[0] in text, f"{path} has no {fault[0]}"
        text = text.replace(*fault, 1)
    else:
        text += fault
    file.write_text(text)


def ask(check, tree):
    """Sentence → what was said against it; of a check that runs on this tree."""
    more = [] if check != "cmek_header.py" else ["cc"]
    done = subprocess.run([str(CHECKS / check), str(tree), *more], capture_output=True, text=True, check=False,
                          env=os.environ | {"LC_ALL": "C.UTF-8"})
    said, refused, sentence = {}, [], None
    for line in done.stdout.splitlines():
        if line.startswith("#"):
            # Shell suites say it below their verdict, others above.
            (said[sentence] if check.endswith(".sh") and sentence else refused).append(line)
            continue
        verdict, _, title = line.partition(" - ")
        sentence = title if verdict.startswith("not ok") else None
        if sentence:
            said[sentence], refused = refused, []
    return said


def main():
    results = []
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        for house in HOUSES:
            shutil.copytree(ROOT / house, tree / house, ignore=lambda _, names: [n for n in names if n.endswith((".map", ".build"))])
        for folder in ("tests/e2e", "tests/sweeps", "tests/consumers"):
            shutil.copytree(ROOT / folder, tree / folder)
        (tree / "tests" / "checks").mkdir(parents=True)
        vectors = [path.relative_to(ROOT) for glob in ("tests/module/vectors_*.c", "tests/vectors/*.txt") for path in ROOT.glob(glob)]
        for path in ("meson.build", "tests/checks/cmek_numbers.txt", "man/cmek.1", "README.md", "docs/mechanisms.md", *vectors):
            if (ROOT / path).exists():
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, tree / path)
        checks = sorted({check for check, *_ in FAULTS})
        for check in checks:
            said = ask(check, tree)
            results.append((f"{check} finds nothing where there is nothing", not said, str(said)))
        for _, _, path, fault in FAULTS:
            plant(tree, path, fault)
        said = {check: ask(check, tree) for check in checks}
        for check, sentence, path, _ in FAULTS:
            lines = "\n".join(line for title, lines in said[check].items() if sentence in title for line in lines)
            seen = path in lines or path.endswith((".h", ".txt", ".build")) and lines or os.path.dirname(path) in lines and "backup" in path
            results.append((f"{check} finds what is wrong with {path}: {sentence}", bool(seen), str(said[check].get(sentence))))
    for number, (title, good, details) in enumerate(results, 1):
        print(f"{'ok' if good else 'not ok'} {number} - {title}" + ("" if good else f"\n# {details}"))
    print(f"1..{len(results)}")
    return 0 if all(good for _, good, _ in results) else 1


raise SystemExit(main())
