#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The rooms of the source: layers.sh [TREE]. What a room knows lies below it; a library, what waits for the network and what
# is handed in is the business of the rooms that the tables name. tests/checks/checks_judged.py plants faults for each rule.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "${1:-$root}" || exit 1

# From below to above; a room within a room is one of its own.
rooms="include include/cmek base crypto net aws aws/credentials kms kms/aws kms/local zones/model zones/store zones/store/rows zones/store/remote
    zones/store/sqlite zones/store/etcd zones/store/dynamodb zones/index zones/kms zones/ezk zones/domain objects mechanisms session pkcs11 envelope library cli"
houses="include base crypto net aws kms zones objects mechanisms session pkcs11 envelope library cli"

# A library's header | the rooms that include it
libraries='
openssl/ | crypto
curl/    | net
sqlite3  | zones/store/sqlite
jansson  | base aws aws/credentials kms/aws zones/store/rows zones/store/etcd zones/store/dynamodb zones/kms zones/domain mechanisms cli
'

# A header, or all of a room | who else includes it. HTTP is for rooms that may wait for the network; providers and engines are
# lists, put together in pkcs11/providers.c and module.c; objects/ and above know no AWS.
doors='
net/http.h         | aws aws/credentials kms/aws zones/store/etcd zones/store/dynamodb
aws/               | aws/credentials kms/aws zones/store/dynamodb
aws/credentials/   | kms/aws zones/store/dynamodb
kms/aws/           | pkcs11
kms/local/         | pkcs11
zones/store/rows/  | zones/store/remote zones/store/etcd zones/store/dynamodb zones/domain
zones/store/remote/| zones/store/etcd zones/store/dynamodb
zones/store/sqlite/| pkcs11
zones/store/etcd/  | pkcs11
zones/store/dynamodb/ | pkcs11
'

# Calls that may wait for a network | the rooms whose sources make them
waits='
client->operations->(describe|encrypt|decrypt|generate_data_key|re_encrypt|set_state|create) | zones/kms
(kms_clients_find|kms_route_next|kms_turn_begin)                                   | kms zones/kms
store->operations->(read|find|write|bring|describe|look_at|create|examine)                        | zones/domain
http->operations->send                                                             | aws zones/store/etcd
(getaddrinfo|curl_easy_perform|curl_multi_[a-z]+|nanosleep|clock_nanosleep)        | net base
'

trim() { # WORDS, on one line
    local words
    read -r -d '' -a words <<<"$1"
    echo "${words[*]}"
}
is_one_of() { [[ " $(trim "$2") " == *" $1 "* ]]; } # WORD WORDS

# Lines "room source header" and "room source <header>" of all includes; conditional ones count.
found=$work/includes
# shellcheck disable=SC2046 # words
grep -HoE '^[[:space:]]*#[[:space:]]*include[[:space:]]+("[^"]+"|<[^>]+>)' $(printf '%s/*.[ch] ' $rooms) 2>/dev/null |
    sed -E 's/^([^:]+)\/([^\/:]+):.*("([^"]+)"|(<[^>]+>))$/\1 \1\/\2 \4\5/' >"$found"
[ -s "$found" ] || tap_fail "the includes are found" "$found"

# Lines "room: sentence" for each include that goes up, or nowhere. envelope/, library/ and cli/ are plain PKCS #11 consumers: below
# them are only base/, include/ and each other. What is installed is found beside the header that names it.
awk -v rooms="$(trim "$rooms")" '
    BEGIN { count = split(rooms, list, " "); for (i = 1; i <= count; i++) level[list[i]] = i }
    $3 ~ /^</ { next }
    $1 == "include" && $3 !~ /\// { next }
    {
        at = $3
        if (!sub(/\/[^\/]*$/, "", at)) at = "nowhere"
        if (at == $1) next
        if ($1 ~ /^(envelope|library|cli)$/) good = at == "base" || at ~ /^include(\/cmek)?$/ || (at ~ /^(envelope|library)$/ && level[at] < level[$1])
        else good = at in level && level[at] < level[$1]
        if (!good) print $1, $2, $3
    }' "$found" >"$work/upward"

no_upward_include() {
    local bad=0 room source header
    while read -r room source header; do
        [ "$room" = "$1" ] || continue
        echo "$source: $1/ may not include \"$header\""
        bad=1
    done <"$work/upward"
    return $bad
}

each_folder_is_a_room() {
    local folder bad=0
    find $houses -name '*.[ch]' -printf '%h\n' | sort -u >"$work/folders" || return 1
    for folder in $(cat "$work/folders"); do
        is_one_of "$folder" "$rooms" || { echo "$folder has sources and no level here"; bad=1; }
    done
    return $bad
}

# The order of meson.build, which fills one list of sources from below.
meson_has_the_order() {
    local built
    built=$(sed -n '/^foreach folder/,/^\]/p' meson.build | grep -oE "'[a-z0-9/]+'" | tr -d "'" | tr '\n' ' ')
    [ "$(trim "include include/cmek $built library cli")" = "$(trim "$rooms")" ] || { echo "meson.build: $built"; return 1; }
}

only_in() { # HEADER ROOMS: a library is the business of some rooms
    local bad=0 room source header
    while read -r room source header; do
        [[ $header == "<$1"* ]] || continue
        is_one_of "$room" "$2" || { echo "$source includes $header"; bad=1; }
    done <"$found"
    return $bad
}

only_through() { # HEADER ROOMS: what a room has to itself, but for some others
    local bad=0 room source header
    while read -r room source header; do
        [[ $header == "$1"* && ${header%/*} == "${1%/*}" ]] || continue
        [ "$room" = "${1%/*}" ] || is_one_of "$room" "$2" || { echo "$source includes \"$header\""; bad=1; }
    done <"$found"
    return $bad
}

only_called_in() { # FUNCTION|... ROOMS
    local bad=0 line
    # shellcheck disable=SC2046 # words
    grep -HnE "(^|[^_a-z])$1\(" $(printf '%s/*.c ' $rooms) >"$work/calls" 2>/dev/null
    [ -s "$work/calls" ] || { echo "nobody calls it, by this name"; return 1; }
    while read -r line; do
        is_one_of "$(dirname "${line%%:*}")" "$2" || { echo "$line"; bad=1; }
    done <"$work/calls"
    return $bad
}

no_aws_above_the_domain() {
    grep -nE '\bAWS_[A-Z]|amazonaws' {objects,mechanisms,session,pkcs11,envelope,library}/*.[ch]
    [ $? -eq 1 ]
}

# A provider's names of keys are its own business; the tool's rows and the form of AWS's policies have them too.
no_arns_of_a_provider() {
    # shellcheck disable=SC2046 # words
    grep -HnE '"[^"]*(arn:(aws|local)|mrk-)' $(printf '%s/*.[ch] ' $rooms) >"$work/arns" 2>/dev/null
    [ -s "$work/arns" ] || { echo "no provider has any"; return 1; }
    silent sed -E '/^(aws|kms\/aws|kms\/local)\/|^cli\/(providers|policy_aws)\.c:|^kms\/name\.c:/d' "$work/arns"
}

for room in $rooms; do
    [ -d "$room" ] && ok "$room/ includes only downward" no_upward_include "$room"
done
ok "each folder with sources is a room" each_folder_is_a_room
ok "meson.build has the rooms in the same order" meson_has_the_order
while IFS='|' read -r header where; do
    [ -z "$header" ] || ok "<$(trim "$header")…> is the business of: $(trim "$where")" only_in "$(trim "$header")" "$where"
done <<<"$libraries"
while IFS='|' read -r header where; do
    [ -z "$header" ] || ok "$(trim "$header") is included only in: ${header%/*} $(trim "$where")" only_through "$(trim "$header")" "$where"
done <<<"$doors"
while read -r line; do
    functions=${line%% *}
    [ -z "$line" ] || ok "$functions: called only in: $(trim "${line##*|}")" only_called_in "$functions" "${line##*|}"
done <<<"$waits"
ok "objects/ and above know no AWS" no_aws_above_the_domain
ok "only providers say what their ARNs are" no_arns_of_a_provider
finish
