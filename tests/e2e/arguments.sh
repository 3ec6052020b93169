#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The command line: help for every command, what is wrong with a line that is wrong, and exit codes. No command here
# gets as far as the module, which is not even named.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
export CMEK_PKCS11_MODULE=$work/there-is-none.so

exits() { # CODE COMMAND...: and one line on standard error if it is not 0
    local code=$1 status=0
    shift
    "$@" >"$work/out" 2>"$work/err" || status=$?
    cat "$work/out" "$work/err"
    [ $status -eq "$code" ] || { echo "exit code $status"; return 1; }
    [ $status -eq 0 ] && return 0
    [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" -eq 1 ] && grep -q '^cmek: ' "$work/err"
}

commands() { "$cmek" --help | sed -n '/^Commands:/,/^$/p' | sed -nE 's/^  ([a-z]+( [a-z-]+)?)  .*/\1/p'; }

teaches() { # WORDS...: usage, prose, each option
    local option
    exits 0 "$cmek" "$@" --help || return 1
    grep -q "^usage: cmek $*" "$work/out" && grep -q '^Options:' "$work/out" && ! [ -s "$work/err" ] || return 1
    for option in $(sed -n 1p "$work/out" | grep -oE -- '--[a-z-]+'); do
        grep -qE -- "^  $option .{10}" "$work/out" || { echo "$option is not explained"; return 1; }
    done
}

same_help() { "$cmek" --help >"$work/help" && [ -s "$work/help" ] && "$cmek" "$1" | diff "$work/help" -; }

# The manual's synopsis, a line for each command, as --help writes it.
synopsis() {
    sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/p' "$root/man/cmek.1" | sed -E '1d; $d
        s/^\.//; s/\bFl -/--/g; s/\b(Cm|Ar) //g; s/^Op (.*)/[\1]/; s/^Nm$/\n/' | awk -v RS= '{ gsub(/\n/, " "); print "usage: cmek " $0 }'
}

is_in_manual() { # WORDS...: the same usage, with all its options and no others
    "$cmek" "$@" --help | sed -n 1p >"$work/usage" && [ -s "$work/usage" ] || return 1
    synopsis | grep -E "^usage: cmek $*( |$)" | grep -vE "^usage: cmek backup verify($| )" >"$work/synopsis"
    [ "$*" != "backup verify" ] || synopsis | grep -E "^usage: cmek backup verify " >"$work/synopsis"
    diff "$work/usage" "$work/synopsis"
}

ok "cmek --help shows the commands" exits 0 "$cmek" --help
ok "with first steps" says "cmek project create demo"
ok "-h is the same" same_help -h
ok "and so is cmek help" same_help help
ok "cmek --version" exits 0 "$cmek" --version
ok "names the release" says "cmek $(sed -nE "s/^ *version: '(.*)',/\1/p" "$root/meson.build")"
count=0
commands >"$work/commands"
while read -r command; do
    # shellcheck disable=SC2086 # a noun and a verb
    ok "cmek $command --help teaches" teaches $command
    # shellcheck disable=SC2086
    ok "cmek $command is in the manual, with these options and no others" is_in_manual $command
    count=$((count + 1))
done <"$work/commands"
ok "and there are many" test $count -ge 20
ok "the manual has no other commands, but help" test "$(synopsis | grep -vc "^usage: cmek help ")" -eq $count
help_in_manual() { has_line '^usage: cmek help \[COMMAND\]$' synopsis; }
ok "which it shows" help_in_manual
for noun in project key cluster database; do
    ok "cmek $noun --help lists its verbs" exits 0 "$cmek" $noun --help
    ok "create or add among them" grep -qE "cmek $noun (create|add)" "$work/out"
    ok "cmek $noun alone is a usage error" exits 2 "$cmek" $noun
    ok "and says what to do" says "cmek $noun needs a verb; see cmek $noun --help"
    ok "cmek $noun with a verb that is unknown is too" exits 2 "$cmek" $noun frobnicate
    ok "and names it" says "no such command: $noun frobnicate; see cmek $noun --help"
done

ok "no command at all is a usage error" exits 2 "$cmek"
ok "an unknown command is a usage error" exits 2 "$cmek" frobnicate
ok "that names it" says frobnicate
ok "a missing option is named" exits 2 "$cmek" cluster create prod --region r
ok "with the usage" says "missing --key; usage: cmek cluster create [--project P] --key L --region R [--provider NAME] NAME"
ok "an unknown option is named" exits 2 "$cmek" tree --porject demo
ok "by its word" says "--porject"
ok "an unknown letter is named" exits 2 "$cmek" tree -x
ok "by its letter" says "-x;"
ok "an option without its value is named" exits 2 "$cmek" tree --project
ok "by its word" says "--project"
ok "an option that is given twice is no guess" exits 2 "$cmek" decrypt --database a/b --database c/d in out
ok "but named" says "given twice: --database; usage: cmek decrypt"
ok "an empty value is not taken for a value" exits 2 "$cmek" decrypt --name "" a b
ok "nor is an empty argument" exits 2 "$cmek" project create ""
ok "too few arguments" exits 2 "$cmek" encrypt --project p --database c/d
ok "too many arguments" exits 2 "$cmek" inspect a b
ok "a project's name of 33 bytes" exits 2 "$cmek" project create "$(printf 'p%.0s' $(seq 33))"
ok "a project's name that is not UTF-8" exits 2 "$cmek" project create $'\xff'
ok "a project's name with a control character" exits 2 "$cmek" project create $'a\tb'
ok "a project's name that ends in a space" exits 2 "$cmek" project create "a "
for name in orders /orders prod/; do
    ok "a database is not named $name" exits 2 "$cmek" database create --project p "$name"
done
ok "options may stand behind arguments" exits 1 "$cmek" database show a/b --project demo
ok "so that the module is missing" says there-is-none.so
ok "and the remedy is named" says "set CMEK_PKCS11_MODULE"
if [ -e /usr/lib/softhsm/libsofthsm2.so ]; then
    other() { CMEK_PKCS11_MODULE=/usr/lib/softhsm/libsofthsm2.so exits 1 "$cmek" project list; }
    ok "a module that is not ours" other
    ok "is reported as the wrong file" says "the module does not start: an argument is not acceptable; is CMEK_PKCS11_MODULE the right file?"
else
    skip "a module that is not ours" "SoftHSM2 is not here"
fi

ok "a file that is not there" exits 3 "$cmek" inspect "$work/missing"
ok "says what to do" says "missing: No such file or directory; look at the path"
ok "a folder in place of a file" exits 1 "$cmek" inspect "$work"
ok "says what to do" says "is a folder; name a file"
echo "plain data, more of it than a header has, and nothing else" >"$work/plain"
ok "a file that is no envelope" exits 7 "$cmek" inspect "$work/plain"
ok "says what it may be" says "not an envelope of cmek; is it plain data"
printf 'CMEK' >"$work/short"
ok "an envelope cut in its header" exits 7 "$cmek" decrypt "$work/short" "$work/new"
ok "leaves no output" test ! -e "$work/new"
ok "an empty file is no envelope" exits 7 "$cmek" decrypt /dev/null "$work/new"
ok "control characters of a name do not reach the terminal" exits 3 "$cmek" inspect $'a\nb\e[31m'
ok "but as question marks" says 'a?b?[31m'

# Its reader is gone before it writes.
broken_pipe() { { sleep 0.2; "$cmek" help 2>"$work/err"; } | :; test ! -s "$work/err"; }
ok "a reader who has had enough is no news" broken_pipe
full() { "$cmek" --help >/dev/full; }
refused "output that can't be written is a failure" full
closed() { "$cmek" --help >&-; }
refused "and so is a closed standard output" closed
closed_in() { exits 3 "$cmek" inspect "$work/missing" <&-; }
ok "a closed standard input disturbs no command" closed_in

if command -v mandoc >/dev/null; then
    for page in cmek.1 cmek.conf.5 cmek-pkcs11.8; do
        ok "the manual $page is well formed" mandoc -T lint -W warning "$root/man/$page"
    done
else
    skip "the manual is well formed" "mandoc is not here"
fi
finish
