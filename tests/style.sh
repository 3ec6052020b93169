#!/usr/bin/env bash
# How the sources look: layout by clang-format, no marks left behind, clean ends of lines.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$root" || exit 1

layout_version=14 # releases of clang-format differ; one decides

sources() { git ls-files -co --exclude-standard "$@" | while read -r file; do [ -e "$file" ] && echo "$file"; done; }

laid_out() {
    sources '*.c' '*.h' | xargs --no-run-if-empty clang-format --dry-run -Werror ||
        { echo "'make format' lays them out"; return 1; }
}

no_marks() {
    ! sources '*.[ch]' '*.py' '*.sh' '*.js' '*.md' '*.build' Makefile | grep -v '^tests/style.sh$' |
        xargs grep -nwE 'TODO|FIXME|XXX|HACK'
}

clean_ends() {
    ! sources '*.[ch]' '*.py' '*.sh' '*.js' '*.md' '*.build' 'conf/*' 'man/*' Makefile | xargs grep -nE '[[:space:]]+$'
}

one_guard() {
    local header bad=0
    for header in $(sources '*.h'); do
        grep -q '^#pragma once' "$header" || { echo "$header lacks #pragma once"; bad=1; }
    done
    return $bad
}

no_jumps() { ! sources '*.c' '*.h' | grep -v '^tests/' | xargs grep -nE '^[[:space:]]*goto '; }

shells_are_clean() { sources '*.sh' .ci/run | xargs shellcheck --severity=warning --external-sources; }

if ! git rev-parse --git-dir >/dev/null 2>&1; then
    skip "the sources are laid out" "not a git work tree, so that the sources can't be listed"
elif [[ $(clang-format --version 2>/dev/null) != *"version $layout_version."* ]]; then
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
finish
