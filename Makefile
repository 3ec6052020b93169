# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# What a person types. Thin on purpose: building is meson's, checking is tools/check.py's.
#
#   make demo [KMS=moto]   the whole hierarchy on real files; with KMS=moto over HTTP
#   make demo STORE=etcd   two hosts with one store, one of them cut off; with KMS=moto too
#   make check             every test that fits ten minutes; ends with one count
#   make check-all         thread sanitizer, valgrind, both compilers, long sweeps, Debian 13 (as root)
#   make bench             speed beside libcrypto, NSS, SoftHSM2 and age, with OpenSSL 3.0 and (as root) 3.5; writes docs/benchmarks.md
#   make install           PREFIX=/usr/local, P11_KIT_MODULES=/etc/pkcs11/modules; DESTDIR is honoured
#   make uninstall         removes that again, given the same PREFIX and so on; says what it leaves
#   make dist              a release's archive of what is committed, in build/dist (docs/release.md)
#   make deb               Debian packages for this system, out of that archive, in build/deb (docs/release.md)
#   make rpm               packages for systems with rpm, in build/rpm
#   make bindings          the packages for Python, Go and Java, in build/packages (docs/release.md)
#   make arm64             builds for arm64 in a Debian of its own, and runs the units under qemu (as root)
#   make deps              only install what the above need
#   make format            lay out the C sources as .clang-format says

PREFIX          ?= /usr/local
P11_KIT_MODULES ?= /etc/pkcs11/modules
KMS             ?= local
STORE           ?= sqlite

all: build

build:
	@tools/deps.sh build
	@tools/build.sh build

demo:
	@tools/deps.sh build demo $(if $(filter moto,$(KMS)),moto) $(if $(filter etcd,$(STORE)),demo-etcd)
	@tools/build.sh build
	@$(if $(filter etcd,$(STORE)),$(if $(filter moto,$(KMS)),build/venv/bin/python,python3) tools/demo_fleet.py,tools/demo.sh) $(KMS)

check:
	@tools/deps.sh build demo moto check
	@tools/check.py check

check-all:
	@tools/deps.sh build demo moto check check-all
	@tools/check.py check-all

bench: build
	@tools/deps.sh bench
	@bench/run.py

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

deb rpm:
	@tools/deps.sh build $@
	@archive=$$(tools/dist.sh) && tools/$@.sh "$$(echo "$$archive" | head -n 1)"

bindings:
	@tools/deps.sh $@
	@tools/bindings.py

arm64:
	@tools/deps.sh $@
	@tools/arm64.sh

deps:
	@tools/deps.sh build demo moto check check-all deb rpm bindings bench

format:
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs --no-run-if-empty clang-format -i

clean:
	rm -rf build build-*

.PHONY: all build demo check check-all bench install uninstall dist deb rpm bindings arm64 deps format clean
