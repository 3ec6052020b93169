#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Packages for systems with rpm, out of a release's archive: rpm.sh ARCHIVE [FOLDER], build/rpm unless told otherwise.
#
# The recipe is the archive's own packaging/cmek-pkcs11.spec. On a system that is not rpm's own, such as Debian, nobody can tell by rpm
# whether what it needs is there: that is left to meson, and the packages are for looking at, not for installing.
kind=rpm
# shellcheck source=tools/package.sh
. "$(dirname "$0")/package.sh"
need rpmbuild

unpack "$name/meson.build" "$name/packaging/cmek-pkcs11.spec"
mkdir "$work/SOURCES"
cp "$archive" "$work/SOURCES/"
lax=()
rpm --query rpm >/dev/null 2>&1 || lax=(--nodeps)
by rpmbuild rpmbuild -ba "${lax[@]}" --define "_topdir $work" --define "upstream_version $version" --define "_buildhost localhost" \
    --define "clamp_mtime_to_source_date_epoch 1" --define "use_source_date_epoch_as_buildtime 1" --define "debug_package %{nil}" \
    "$work/$name/packaging/cmek-pkcs11.spec"
mapfile -t packages < <(find "$work/RPMS" "$work/SRPMS" -name '*.rpm')
hand_over "${packages[@]}"
