#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Debian packages out of a release's archive, for the system that this runs on: deb.sh ARCHIVE [FOLDER], build/deb unless told otherwise.
#
# The recipe is the archive's own packaging/debian. Version and date are not in it: they are the archive's; who maintains the packages is
# DEBFULLNAME and DEBEMAIL. The same archive gives the same bytes in any folder of that system. The tests run only with CHECK=yes,
# since `make check` has run them.
kind=deb
# shellcheck source=tools/package.sh
. "$(dirname "$0")/package.sh"
for program in dpkg-buildpackage dh meson; do need $program; done

unpack "$name"
cd "$work/$name"
[ -e packaging/debian/control ] || fail "No package is made: $archive has no packaging/debian."
cp "$archive" "../cmek-pkcs11_$version.orig.tar.gz"
cp -R packaging/debian debian
[ -z "${DEBEMAIL:-}" ] || sed -i "s/^Maintainer: .*/Maintainer: ${DEBFULLNAME:-$DEBEMAIL} <$DEBEMAIL>/" debian/control
distribution=$(. /etc/os-release && echo "${ID:-}${VERSION_ID:-}")
cat >debian/changelog <<END
cmek-pkcs11 ($version-1~${distribution:-any}) unstable; urgency=medium

  * Release $version; /usr/share/doc/cmek-pkcs11/changelog.gz says what changed.

 -- $(sed -n 's/^Maintainer: //p' debian/control)  $(LC_ALL=C date --utc --date "@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S +0000')
END

options="parallel=$(nproc)" profiles=
[ "${CHECK:-no}" = yes ] || { options="$options nocheck" profiles=nocheck; }
DEB_BUILD_OPTIONS=$options DEB_BUILD_PROFILES=$profiles LC_ALL=C.UTF-8 by dpkg-buildpackage dpkg-buildpackage --unsigned-source --unsigned-changes
cd "$work"
hand_over ./*.deb ./*.dsc ./*.debian.tar.xz ./*.orig.tar.gz ./*.buildinfo ./*.changes
