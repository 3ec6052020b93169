#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# A Rust program that does the whole hierarchy by cryptoki: it prints the TAP.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../../lib.sh"
if ! command -v cargo >/dev/null; then
    consumer "Rust cryptoki" - "not here"
    skip "a Rust program does the whole hierarchy" "cargo is not here; 'make deps' installs it"
    finish
fi
export CARGO_TARGET_DIR=$root/build/rust
if ! cargo build --quiet --locked --manifest-path "$root/tests/consumers/compiled/cryptoki/Cargo.toml" >"$work/rust.out" 2>&1; then
    if grep -qE 'requires rustc|lock file version|is not supported by the active package' "$work/rust.out"; then
        consumer "Rust cryptoki" - "not here"
        skip "a Rust program does the whole hierarchy" "cryptoki 0.12 needs a newer Rust than $(rustc --version | cut -d' ' -f2)"
    else
        tap_fail "a Rust program builds" "$work/rust.out"
    fi
    finish
fi
new_hierarchy
tap_program "$CARGO_TARGET_DIR/debug/hierarchy" "$module"
by_login "0 keys have the label prod/orders" "$CARGO_TARGET_DIR/debug/hierarchy" "$module"
by_pin "0 keys have the label prod/orders" "PIN is incorrect" "$CARGO_TARGET_DIR/debug/hierarchy" "$module"
finish
