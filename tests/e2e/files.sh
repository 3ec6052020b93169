#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Files and streams: sizes around the chunk's, constant memory, permissions, outputs that appear whole or not at all.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
new_project demo
ok "a cluster" "$cmek" cluster create --project demo prod --key root --region us-west-2
ok "a database" "$cmek" database create --project demo prod/orders
encrypt() { "$cmek" encrypt --project demo --database prod/orders "$@"; }
decrypt() { "$cmek" decrypt "$@"; }
# Over what is there.
encrypt_over() { encrypt --force "$@"; }
decrypt_over() { decrypt --force "$@"; }
sandbox=$work/files
mkdir "$sandbox"
cd "$sandbox" || exit 1

exits() { # CODE COMMAND...
    local code=$1 status=0
    shift
    "$@" || status=$?
    [ $status -eq "$code" ] || { echo "exit code $status, not $code"; return 1; }
}
only() { # NAME...: nothing else is in the folder, hidden or not
    find . -mindepth 1 -printf '%P\n' | sort | diff <(printf '%s\n' "$@" | sort) -
}
round_trip() { # SIZE
    head -c "$1" /dev/urandom >plain && encrypt_over plain sealed && decrypt_over sealed again && cmp plain again &&
        [ "$(stat -c %s sealed)" -eq $(($(header_of sealed) + $1 + 16 * (($1 + 65535) / 65536 + ($1 == 0)))) ]
}
header_of() { "$cmek" inspect "$1" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["header_bytes"])'; }

for size in 0 1 65535 65536 65537 131072 1000000; do
    ok "a file of $size bytes comes back" round_trip $size
done
ok "no other file was left" only plain sealed again

# Streams
piped() { head -c 300000 plain | encrypt - - | decrypt - - | cmp - <(head -c 300000 plain); }
ok "through pipes" piped
from_stdin() { encrypt - from-stdin <plain && decrypt from-stdin - | cmp - plain; }
ok "from standard input, to standard output" from_stdin
mode_is() { [ "$(stat -c %a "$1")" = "$2" ] || { stat -c %a "$1"; return 1; }; }
ok "what came from standard input is for its owner only, or as the file it came from" mode_is from-stdin \
    "$(stat -c %a plain)"
piped_in() { echo secret | encrypt - from-pipe; }
ok "what comes out of a pipe" piped_in
ok "is for its owner only" mode_is from-pipe 600
into_fifo() { mkfifo fifo && { cat fifo >from-fifo & } && decrypt sealed fifo && wait && cmp plain from-fifo && [ -p fifo ]; }
ok "a pipe with a name is written to, not replaced" into_fifo
into_device() { decrypt sealed /dev/null && [ -c /dev/null ]; }
ok "and so is a device" into_device
into_pipe() { decrypt sealed /dev/stdout | cmp - plain && decrypt sealed >(cat >from-fd) && wait $! && cmp plain from-fd; }
ok "and so is a pipe that has no path of its own" into_pipe
rm -f fifo from-*

# Permissions and places
umask 022
modes() { # MODE-OF-IN MODE-OF-OUT
    chmod "$1" plain && rm -f sealed again && encrypt plain sealed && mode_is sealed "$2" && decrypt sealed again && mode_is again "$2"
}
ok "a private file's envelope is private" modes 600 600
ok "a readable one's readable" modes 644 644
ok "the umask counts" modes 666 644
kept_mode() { chmod 644 sealed && chmod 600 again && decrypt_over sealed again && mode_is again 600; }
ok "a secret that is decrypted over does not become readable" kept_mode
through_link() { ln -s real link && echo old >real && decrypt_over sealed link && [ -L link ] && cmp plain real; }
ok "a link stays a link" through_link
rm -f link real

# What is there already, and the input
echo mine >mine
for verb in encrypt decrypt; do
    ok "$verb does not replace a file that is there" exits 4 $verb sealed mine
    ok "and says how it would" says "mine: is there already; name another file, or replace it with --force"
    ok "it is as it was" test "$(cat mine)" = mine
done
ln -s mine link
ok "nor one that a link leads to" exits 4 decrypt sealed link
chmod 400 mine
ok "nor one that is read-only" exits 4 decrypt sealed mine
read_only() { decrypt_over sealed mine && cmp plain mine && mode_is mine 400; }
ok "--force replaces that too, and it stays read-only" read_only
rm -f mine link
cp plain itself && ln itself hard && ln -s itself soft
for name in itself ./itself hard soft; do
    ok "the input is not replaced, by force or not, as $name" exits 4 encrypt_over itself $name
    ok "it is said" says "$name: is the input itself; name another file"
done
through_stdin() { exits 4 encrypt_over - itself <itself; }
ok "nor as standard input" through_stdin
appended() { exits 4 encrypt itself - >>itself; }
ok "nor appended to by way of standard output" appended
ok "the message says why" says "itself: is standard output too, so it would grow while it is read"
appended_stdin() { exits 4 encrypt - /dev/stdout <hard >>itself; }
ok "whatever its name" appended_stdin
ok "it is as it was" cmp plain itself
for verb in encrypt decrypt; do
    emptied() { cp sealed itself && exits 4 $verb itself - >itself; }
    ok "$verb F - >F is refused" emptied
    ok "and the message says that the shell has emptied it" says "itself: is empty, since standard output is the same file"
done
rm -f itself hard soft
appears() { # while it is written
    mkfifo slow && { "$cmek" encrypt --project demo --database prod/orders "$@" slow new & } && exec 9>slow && cat plain >&9 &&
        while kill -0 $! && [ "$(awk '/^wchar/ {print $2}' /proc/$!/io)" -le 900000 ]; do sleep 0.05; done && echo mine >new &&
        exec 9>&- && wait $!
}
came_meanwhile() { exits 4 appears && [ "$(cat new)" = mine ] && rm slow new; }
ok "a file that comes while it is written is not replaced" came_meanwhile
ok "either" says "new: is there already"
named_meanwhile() { NO_TMPFILE=1 LD_PRELOAD=$build/tests/module/libkill_at.so came_meanwhile; }
ok "nor on a file system where it has a name from the start" named_meanwhile
forced_meanwhile() { appears --force && decrypt_over new again && cmp plain again && rm slow new; }
ok "with --force it is" forced_meanwhile
redirected() { encrypt plain /dev/stdout >new && decrypt_over new again && cmp plain again && rm new; }
ok "/dev/stdout is standard output, not a file that is there" redirected
ok "only these are here" only plain sealed again
ln -s nothing link
ok "a link to nothing is not replaced" exits 1 decrypt sealed link
ok "and it is said what to do" says "is a link, and what it leads to can't be reached: No such file or directory; make that, or remove"
ok "it is as it was" test "$(readlink link)" = nothing -a ! -e nothing
ln -sf link link
ok "nor is a link to itself" exits 1 decrypt sealed link
ok "it is as it was" test "$(readlink link)" = link
rm link
ok "into a folder that is not there" exits 3 decrypt sealed nowhere/plain
ok "says what to do" says "nowhere/plain: cannot be written: Its folder does not exist; look at the path"
ok "onto a folder" exits 1 decrypt sealed .
mkdir shut && chmod 555 shut
as_anybody=() # root without the right to write anywhere
[ "$(id -u)" -ne 0 ] || as_anybody=(setpriv "--bounding-set=-dac_override,-dac_read_search")
if [ "$(id -u)" -ne 0 ] || ! "${as_anybody[@]}" test -w shut; then
    ok "into a folder that may not be written" exits 1 "${as_anybody[@]}" "$cmek" decrypt sealed shut/plain
    ok "says what to do" says "shut/plain: cannot be written: Permission denied; look at the owner and mode"
else
    skip "into a folder that may not be written" "root can't lay down the right to write anywhere here"
fi
chmod 755 shut && rmdir shut
grows() { # a log that is written to while it is encrypted
    local writer
    head -c 3000000 /dev/urandom >log
    { while :; do head -c 70000 /dev/urandom >>log; done; } &
    writer=$!
    encrypt log log.sealed
    local status=$?
    kill $writer
    wait $writer 2>/dev/null
    [ $status -eq 0 ] && decrypt log.sealed log.again && cmp log.again <(head -c "$(stat -c %s log.again)" log) &&
        [ "$(stat -c %s log.again)" -ge 3000000 ]
}
ok "a file that grows meanwhile is there up to a point" grows
rm -f log log.*

# Failures leave nothing
ok "only these are here" only plain sealed again
cp sealed cut && truncate -s -1 cut
ok "an envelope that is cut" exits 7 decrypt cut new
ok "leaves no output" only plain sealed again cut
ok "nor a change in one that was there" exits 7 decrypt_over cut again
ok "namely" cmp plain again
verified_only() { # the first chunks are good: they come, nothing of the last one, and the exit code says no
    local status=0
    decrypt cut - >partial || status=$?
    [ $status -eq 7 ] && [ "$(stat -c %s partial)" -eq $((1000000 / 65536 * 65536)) ] &&
        cmp partial <(head -c "$(stat -c %s partial)" plain)
}
ok "standard output gets verified data only, and the exit code says that it is not all" verified_only
rm -f cut partial
reader_gone() {
    decrypt sealed - | head -c 10 >/dev/null
    [ "${PIPESTATUS[0]}" -eq 1 ]
}
ok "a reader that has gone away is a failure" reader_gone
closed_output() { exits 1 decrypt sealed - >&-; }
ok "and so is a closed standard output" closed_output
closed_but_file() { decrypt sealed other >&- && cmp plain other; }
ok "which does not concern a file" closed_but_file
rm -f other
full_device() { exits 1 decrypt sealed /dev/full && exits 1 encrypt plain - >/dev/full; }
ok "a device that is full" full_device
ok "says what to do" says "No space left on device; make room"
limited() { (ulimit -f 100 && exits 1 decrypt sealed new); }
ok "a limit on files' sizes" limited
ok "leaves nothing" only plain sealed again

mount_file() { echo old >source && touch target && mount --bind source target; }
if [ "$(id -u)" -eq 0 ] && mount_file 2>/dev/null; then
    ok "a mount point can't be replaced" exits 1 decrypt_over sealed target
    ok "it is said, and how it can be written into" says "target: is a mount point, which a finished file can't replace; to write into it, give - as OUT"
    into_mount() { decrypt sealed - >target && cmp plain source; }
    ok "namely" into_mount
    umount target
else
    skip "a mount point can't be replaced" "mounting needs root's rights"
fi
rm -f source target

mount_small() { mkdir small && mount -t tmpfs -o size=512k tmpfs small; }
if [ "$(id -u)" -eq 0 ] && mount_small 2>/dev/null; then
    ok "a full disk" exits 1 decrypt sealed small/new
    ok "is named" says "No space left on device"
    ok "and is as empty as before" test -z "$(ls -A small)"
    full_out() { exits 1 decrypt sealed - >small/partial; }
    ok "also behind standard output" full_out
    umount small
else
    skip "a full disk leaves nothing" "mounting a small file system needs root's rights"
fi
rm -rf small

# Interruptions: a pipe that does not end holds the tool in the middle.
mkfifo slow
interrupted() { # SIGNAL COMMAND...
    local signal=$1 pid tries=0 status=0
    shift
    exec 9<>slow
    # Whoever runs the tests may ignore them, as nohup does, and the tool then does too.
    env --default-signal=TERM,HUP "$@" - new <slow 9>&- &
    pid=$!
    cat plain >&9
    until [ "$(awk '/^wchar/ {print $2}' /proc/$pid/io)" -gt 900000 ]; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || break
        sleep 0.05
    done
    kill "-$signal" $pid
    wait $pid || status=$?
    exec 9>&-
    [ $tries -lt 200 ] && [ $status -gt 128 ] && only plain sealed again slow
}
for signal in KILL TERM HUP; do
    ok "nothing is left after SIG$signal in the middle" interrupted $signal \
        "$cmek" encrypt --project demo --database prod/orders
done

# Some file systems have no files without names: then there is a temporary one.
named() { env NO_TMPFILE=1 LD_PRELOAD="$build/tests/module/libkill_at.so" "$@"; }
for signal in TERM HUP; do
    ok "nor on a file system where it has a name, after SIG$signal" interrupted $signal \
        env NO_TMPFILE=1 LD_PRELOAD="$build/tests/module/libkill_at.so" "$cmek" encrypt --project demo --database prod/orders
done
rm slow
named_round_trip() {
    named "$cmek" encrypt --project demo --database prod/orders plain named && named "$cmek" decrypt named other && cmp plain other &&
        exits 4 named "$cmek" decrypt named other && named "$cmek" decrypt --force named other && cmp plain other &&
        rm named other && only plain sealed again
}
ok "where it encrypts and decrypts as well" named_round_trip
named_failure() { truncate -s -1 sealed && exits 7 named "$cmek" decrypt sealed new && only plain sealed again; }
ok "and leaves nothing after a failure" named_failure

# Memory
peak_of() { # COMMAND...: its greatest resident size in KiB
    python3 - "$@" <<'PYTHON'
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
PYTHON
}
small_memory() { # COMMAND...
    local peak
    peak=$(peak_of "$@") || return 1
    echo "peak $peak KiB"
    [ "$peak" -lt 32768 ]
}
head -c 209715200 /dev/urandom >big
ok "200 MiB are encrypted within 32 MiB of memory" small_memory "$cmek" encrypt --project demo --database prod/orders big big.sealed
ok "and decrypted" small_memory "$cmek" decrypt big.sealed big.again
ok "and are the same" cmp big big.again
# A pipe that is slow, so that there is something to tell.
slowly() { head -c 100000000 big.sealed && sleep 2 && tail -c +100000001 big.sealed; }
no_terminal() { slowly | "$cmek" decrypt --force - big.again >drawn 2>&1 && test ! -s drawn; }
ok "the tool draws no progress where there is no terminal" no_terminal
export -f slowly
on_terminal() { SHELL=/bin/bash script -qec "slowly | $cmek decrypt --force - big.again" drawn && grep -q MiB drawn; }
if command -v script >/dev/null; then
    ok "on a terminal it does" on_terminal
else
    skip "on a terminal it does" "script is not here"
fi
finish
