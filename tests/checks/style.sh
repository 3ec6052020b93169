#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# How the sources look: layout by clang-format, no marks left behind, clean ends of lines.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1

layout_version=14 # releases of clang-format differ; one decides

# The files that match any of PATTERN..., whose * goes across folders. Where there is no git work tree, as in what a
# release's archive unpacks to, each file counts that is in no build folder.
sources() {
    local pattern patterns=(-false)
    if [ -e .git ]; then
        git ls-files -co --exclude-standard "$@" | while read -r file; do if [ -e "$file" ]; then echo "$file"; fi; done
        return
    fi
    for pattern in "$@"; do patterns+=(-o -path "./$pattern"); done
    find . -type d \( -path './build*' -o -name .cache -o -name __pycache__ -o -exec test -e '{}/meson-private' ';' \) -prune \
        -o -type f \( "${patterns[@]}" \) -print | sed 's|^\./||' | sort
}

laid_out() {
    sources '*.c' '*.h' | xargs --no-run-if-empty clang-format --dry-run -Werror ||
        { echo "'make format' lays them out"; return 1; }
}

# Whether there are files, and no line of them is what is looked for; what grep could not read counts as found.
none_has() { # LIST GREP-ARGUMENTS...
    [ -s "$1" ] || { echo "no sources are listed"; return 1; }
    xargs grep -n "${@:2}" <"$1" >"$work/found" 2>&1
    silent cat "$work/found"
}

no_marks() {
    sources '*.[ch]' '*.py' '*.sh' '*.js' '*.md' '*.build' Makefile | grep -v '^tests/checks/style.sh$' >"$work/texts"
    none_has "$work/texts" -wE 'TODO|FIXME|XXX|HACK'
}

clean_ends() {
    sources '*.[ch]' '*.py' '*.sh' '*.js' '*.md' '*.build' 'conf/*' 'man/*' Makefile >"$work/texts"
    none_has "$work/texts" -E '[[:space:]]+$'
}

one_guard() {
    local header bad=0
    sources '*.h' >"$work/headers" && [ -s "$work/headers" ] || return 1
    for header in $(cat "$work/headers"); do
        grep -q '^#pragma once' "$header" || { echo "$header lacks #pragma once"; bad=1; }
    done
    return $bad
}

no_jumps() {
    sources '*.c' '*.h' | grep -v '^tests/' >"$work/own"
    none_has "$work/own" -E '^[[:space:]]*goto '
}

shells_are_clean() { sources '*.sh' .ci/run | xargs --max-procs="$(nproc)" --max-args=10 shellcheck --severity=warning --external-sources; }

some_are_found() { [ "$(sources '*.c' | wc -l)" -gt 100 ]; }

if [ -e .git ] && ! git ls-files >/dev/null 2>&1; then
    # Another user's work tree, or no git.
    skip "the sources are listed" "git does not list them: $(git ls-files 2>&1 | head -n 1)"
    finish
fi
ok "the sources are listed" some_are_found
if [[ $(clang-format --version 2>/dev/null) != *"version $layout_version."* ]]; then
    skip "the sources are laid out" "clang-format $layout_version decides, and it is not here"
else
    ok "the sources are laid out as .clang-format says" laid_out
fi
if command -v shellcheck >/dev/null; then
    ok "shellcheck finds nothing in the scripts" shells_are_clean
else
    skip "shellcheck finds nothing in the scripts" "shellcheck is not here"
fi
ok "no marks for later are left in the sources" no_marks
ok "no line ends in white space" clean_ends
ok "each header begins with #pragma once" one_guard
ok "no goto" no_jumps
ok "each source names its licence and copyright" tools/spdx.py
finish
