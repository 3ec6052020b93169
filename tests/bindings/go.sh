#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The Go package on libcmek: its own tests, and what it seals and the tool opens.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
here=$root/bindings/go
export GOFLAGS="${GOFLAGS:-} -mod=readonly" GOTOOLCHAIN=local GOPROXY=off

if ! has_go 21; then
    skip "the Go package passes its tests" "there is no Go 1.21 or later"
    finish
fi
ok "libcmek is installed" install_libcmek || finish
cd "$here" || exit 1
formatted() { silent gofmt -l .; }
passes() { # each of its tests is one of ours
    go test -count=1 -v ./... >"$work/go.out" 2>&1 || true
    grep -q '^ok\b' "$work/go.out" || { cat "$work/go.out"; return 1; }
}
ok "the Go package is laid out as gofmt does" formatted
ok "go vet finds nothing" go vet ./...
new_hierarchy
if ok "the Go package passes its tests" passes; then
    sed -n 's/^--- PASS: \([A-Za-z]*\) .*/\1/p' "$work/go.out" >"$work/passed"
    while read -r test; do tap_line ok "Go: $test"; done <"$work/passed"
fi
finish
