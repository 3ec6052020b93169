#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# What the shells offer for a word that is begun, out of `cmek completion SHELL`, for every command and option that help lists.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

PATH=$build:$PATH
cd "$work" || exit 1
for shell in bash zsh fish; do cmek completion $shell >"cmek.$shell" || exit 1; done

# "database create": all, one a line.
all_commands() { cmek --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\( [a-z-][a-z-]*\)\{0,1\}\)  .*/\1/p' | sed 's/ *$//'; }
options_of() { # COMMAND…, as --help has them
    cmek help "$@" | sed -n '/^Options:/,$s/^  \(--[a-z-]*\).*/\1/p' | sort
}
all_commands >commands
while read -r line; do
    read -ra command <<<"$line"
    options_of "${command[@]}" | sed "s/^/$line: /"
done <commands | sort >wanted

from_bash() { # WORD…, the last is under the cursor
    # shellcheck disable=SC1091 # it was made above
    (. ./cmek.bash && COMP_WORDS=(cmek "$@") COMP_CWORD=$# && _cmek && printf '%s\n' "${COMPREPLY[@]}")
}
every_option_in_bash() {
    local line command
    while read -r line; do
        read -ra command <<<"$line"
        from_bash "${command[@]}" -- | sed "s/^/$line: /"
    done <commands | sort | diff wanted -
}
ok "there are commands to complete" test "$(wc -l <commands)" -gt 40
ok "bash offers every option of every command" every_option_in_bash
their_first_words() { sed 's/ .*//' commands | sort -u; }
first_offered() { from_bash '' | grep -vE '^(help|--.*)$' | sort; }
first_words() { agree their_first_words first_offered; }
ok "and the commands" first_words
ok "and verbs" test "$(from_bash database ro)" = rotate
ok "and files, where a command wants them" has_line '^$' from_bash encrypt ''
ok "of a word that begins no command, nothing" has_line '^$' from_bash frobnicate --

if command -v fish >/dev/null; then
    in_fish() { HOME=$work fish --no-config -c "source cmek.fish; $*"; }
    every_option_in_fish() {
        # shellcheck disable=SC2016 # fish expands
        in_fish 'while read line; complete -C "cmek $line --" | string replace -r "\t.*" "" | string replace -r "^" "$line: "; end <commands' |
            sort | diff wanted -
    }
    ok "fish offers every option of every command" every_option_in_fish
    ok "and verbs, with what they do" test "$(in_fish 'complete -C "cmek database ro"')" = $'rotate\ta new version of a database\'s key'
else
    skip "fish offers every option of every command" "fish is not here"
fi

if command -v zsh >/dev/null; then
    # What zsh's own functions would be told; words and CURRENT are those of a line with the cursor at its end.
    # shellcheck disable=SC2016 # zsh expands
    in_zsh='
    _describe() { print -rl -- "${(@P)2}" }
    _arguments() { for row; do [[ $row == --* ]] && print -r -- "${row%%[=\[]*}"; done; return 0 }
    offered() { words=(cmek "$@"); CURRENT=$#words; source ./cmek.zsh }
    '
    every_option_in_zsh() {
        # shellcheck disable=SC2016
        zsh -f -c "$in_zsh"'
            while read -r line; do offered ${=line} -- | sed -n "s/^--/$line: --/p"; done <commands' | sort | diff wanted -
    }
    ok "zsh offers every option of every command" every_option_in_zsh
    ok "and commands" test "$(zsh -f -c "$in_zsh offered ''" | grep -cE '^(encrypt|database|doctor):')" -eq 3
    ok "and verbs, with what they do" test "$(zsh -f -c "$in_zsh offered database ''" | grep ^rotate)" = "rotate:a new version of a database's key"
else
    skip "zsh offers every option of every command" "zsh is not here"
fi
refused "another shell is refused" cmek completion tcsh
ok "and told which there are" says "no completion for tcsh: bash, zsh or fish"
finish
