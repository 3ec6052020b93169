#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# A newcomer's way in a fresh Debian, as root of it: newcomer.sh FOLDER, which has the packages. From the package to the first encrypted
# folder, with the clock; stock programs; and what stays when the packages go. Run by tests/sweeps/deb.sh.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
unset CMEK_PKCS11_MODULE AWS_EC2_METADATA_DISABLED
PATH=/usr/sbin:/usr/bin:/sbin:/bin
packages=$1
system=$(. /etc/os-release && echo "Debian $VERSION_ID")
module=/usr/lib/$(uname -m)-linux-gnu/pkcs11/cmek-pkcs11.so
useradd --create-home --shell /bin/sh ada
ada() { (cd /home/ada && setpriv --reuid ada --regid ada --init-groups env -i HOME=/home/ada PATH="$PATH" LC_ALL=C.UTF-8 "$@"); }
gets() { apt-get install -y -qq --no-install-recommends "$@"; }

SECONDS=0
ok "$system: the lists of packages are fetched" apt-get update -qq
ok "the package is installed, with all that it needs" gets "$packages"/cmek-pkcs11_*.deb
echo "# $system: the package is there after $SECONDS s"
ok "the tool is there" ada cmek --version
ok "and finds its module without a setting" ada cmek project create demo
ok "a root key of the embedded KMS" ada cmek key create --project demo local:my-root --label root
ok "a cluster" ada cmek cluster create --project demo prod --key root --region us-west-2
ok "a database" ada cmek database create --project demo prod/orders
# shellcheck disable=SC2016 # ada's shell expands
ok "a folder of hers" ada sh -c 'mkdir -p data/deep && echo "card 4111-0000" >data/orders && date >data/deep/day && : >data/empty'
ok "is encrypted" ada cmek encrypt -r -o sealed data
echo "# $system: from the package to the first encrypted folder $SECONDS s (it took apt most of that)"
ok "nothing of it can be read" ada sh -c '! grep -r 4111 sealed && test -s sealed/orders.cmek && test -s sealed/deep/day.cmek'
ok "and comes back as it was" ada sh -c 'cmek decrypt -r -o back sealed && diff -r data back'
ok "the doctor finds no fault" ada cmek doctor

ok "stock programs are installed" gets p11-kit opensc
ok "p11-kit has the module by its package's file" ada p11-kit list-modules
ok "by its name" says "cmek-pkcs11"
ok "with her project as a token" says "token: demo"
ok "pkcs11-tool loads it" ada pkcs11-tool --module "$module" --list-token-slots
ok "and sees the project" says "demo"
ok "and her database's key" ada pkcs11-tool --module "$module" --list-objects --type secrkey
ok "by its label" says "prod/orders"
ok "bash completes" bash -c '. /usr/share/bash-completion/completions/cmek && complete -p cmek'
ok "the manuals are there" gzip --test /usr/share/man/man1/cmek.1.gz /usr/share/man/man5/cmek.conf.5.gz /usr/share/man/man8/cmek-pkcs11.8.gz
ok "each file is as the package has it" dpkg --verify cmek-pkcs11

ok "the other packages are installed" gets "$packages"/cmek-pkcs11-{dev,doc,rescue}_*.deb "$packages"/libcmek{0,-dev}_*.deb
# shellcheck disable=SC2016 # pkg-config expands
names_module() { grep -qx 'p11_module_path=${libdir}/pkcs11/cmek-pkcs11.so' /usr/lib/*/pkgconfig/cmek-pkcs11.pc && [ -s "$module" ]; }
ok "pkg-config's file names the module" names_module
ok "the headers are there" test -s /usr/include/cmek-pkcs11/cmek.h -a -s /usr/include/cmek/cmek.h
depends() { dpkg-query -W -f '${Depends}\n' libcmek0; }
same_version() { depends >"$work/depends" && grep -qF "cmek-pkcs11 (= $(dpkg-query -W -f '${Version}' cmek-pkcs11))" "$work/depends"; }
library() { same_version && has_line 'libcmek\.so\.0' ldconfig -p; }
ok "the library has a package of its own, which wants the module of its version" library
ok "the pages are where messages say" test -s /usr/share/doc/cmek-pkcs11/docs/erasure.md
ok "rescue.py opens a file without the module" ada /usr/share/cmek-pkcs11/rescue.py --local-keys .local/share/cmek-pkcs11/local.keys sealed/orders.cmek rescued
ok "as it was" ada cmp rescued data/orders
ok "no package has a script that runs at installation" silent find /var/lib/dpkg/info -name '*cmek*.*inst' -o -name '*cmek*.*rm'

# The example of a service, as far as a system without systemd running can tell.
tap_program "$root/tests/packages/service.sh" /usr/share/cmek-pkcs11/service

# Root's own store, beside hers.
ok "root has a project too" cmek project create backups
stays() { [ -s /home/ada/.local/share/cmek-pkcs11/store.db ] && [ -s /home/ada/.local/share/cmek-pkcs11/local.keys ] && [ -s /var/lib/cmek-pkcs11/store.db ]; }
gone() { [ ! -e "$module" ] && lacks libcmek ldconfig -p && [ ! -e /usr/bin/cmek ] && [ ! -e /usr/share/p11-kit/modules/cmek-pkcs11.module ]; }
ok "the packages are removed" apt-get remove -y -qq 'cmek-pkcs11*' 'libcmek*'
ok "and are gone" gone
ok "p11-kit has forgotten the module" lacks '[Cc][Mm][Ee][Kk]' p11-kit list-modules
ok "her store and keys stay, and root's" stays
ok "the package comes back" gets "$packages"/cmek-pkcs11_*.deb
ok "and opens her files" ada sh -c 'rm -r back && cmek decrypt -r -o back sealed && diff -r data back'
ok "it is purged" apt-get purge -y -qq cmek-pkcs11
ok "and is gone" gone
ok "stores and keys stay" stays
left() { silent find /usr /etc -path '*cmek*' ! -path '/etc/cmek-pkcs11*'; } # the service's settings are root's own
ok "nothing else does" left
finish
