# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# What a person types. Thin on purpose: building is meson's, checking is tools/check.py's.
#
#   make demo [KMS=moto]   the whole hierarchy on real files; with KMS=moto over HTTP
#   make check             every test that fits ten minutes; ends with one count
#   make check-all         thread sanitizer, valgrind, both compilers, long sweeps, Debian 13 (as root)
#   make bench             speed beside libcrypto, NSS and SoftHSM2
#   make install           PREFIX=/usr/local, P11_KIT_MODULES=/etc/pkcs11/modules; DESTDIR is honoured
#   make uninstall         removes that again, given the same PREFIX and so on; says what it leaves
#   make dist              a release's archive of what is committed, in build/dist (docs/release.md)
#   make deps              only install what the above need
#   make format            lay out the C sources as .clang-format says

PREFIX          ?= /usr/local
P11_KIT_MODULES ?= /etc/pkcs11/modules
KMS             ?= local

all: build

build:
	@tools/deps.sh build
	@tools/build.sh build

demo:
	@tools/deps.sh build demo $(if $(filter moto,$(KMS)),moto)
	@tools/build.sh build
	@tools/demo.sh $(KMS)

check:
	@tools/deps.sh build demo moto check
	@tools/check.py check

check-all:
	@tools/deps.sh build demo moto check check-all
	@tools/check.py check-all

bench: build
	@tools/deps.sh bench
	@meson test -C build --benchmark --verbose

install: build
	@meson configure build -Dprefix=$(PREFIX) -Dp11_kit_modules=$(P11_KIT_MODULES)
	@ninja -C build --quiet
	meson install -C build $(if $(DESTDIR),--destdir $(DESTDIR))

uninstall: build
	@meson configure build -Dprefix=$(PREFIX) -Dp11_kit_modules=$(P11_KIT_MODULES)
	@ninja -C build --quiet
	@tools/uninstall.sh build $(DESTDIR)

dist:
	@tools/dist.sh

deps:
	@tools/deps.sh build demo moto check check-all bench

format:
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs --no-run-if-empty clang-format -i

clean:
	rm -rf build build-*

.PHONY: all build demo check check-all bench install uninstall dist deps format clean
