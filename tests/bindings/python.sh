#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The Python package, as its wheel and its sdist put it into a fresh environment, on libcmek.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
here=$root/bindings/python
python=$(command -v python3)
export PYTHONDONTWRITEBYTECODE=1

build_them() { # in a copy: a backend writes beside the sources
    cp -r "$here" "$work/source" && cd "$work/source" && pip --quiet --disable-pip-version-check wheel --no-deps --wheel-dir "$work/dist" . &&
        python3 -c 'from setuptools.build_meta import build_sdist; build_sdist("'"$work"'/dist")'
}
installs() { # FILE [OPTION...]: into an environment of its own, with nothing else
    rm -rf "$work/env"
    "$python" -m venv "$work/env" && "$work/env/bin/pip" --quiet --disable-pip-version-check install --no-deps "${@:2}" "$1"
}
sdist_installs() { # pip builds it by the backend that it names, as the wheel above
    installs "$work"/dist/cmek-*.tar.gz && "$work/env/bin/pip" --disable-pip-version-check show --files cmek
}

mkdir "$work/dist"
if command -v pip >/dev/null && "$python" -c 'import ensurepip' 2>/dev/null; then
    ok "the wheel and the sdist are built by the standard backend" build_them
    ok "the sdist is built and installed by pip" sdist_installs
    ok "with the mark that it is typed" says "cmek/py.typed"
    refused "and is the package, which wants its library" env CMEK_LIBRARY="$work/none.so" "$work/env/bin/python" -c 'import cmek'
    ok "namely this one" says "$work/env/lib/"
    ok "the wheel is installed where there is nothing else" installs "$work"/dist/cmek-*.whl --no-index
    python=$work/env/bin/python
else
    skip "the wheel is built and installed" "pip is not here"
    export PYTHONPATH=$here/src
fi
refused "without libcmek it says what to install" env CMEK_LIBRARY="$work/none.so" "$python" -c 'import cmek'
ok "namely" says "install the package libcmek0"
ok "libcmek is installed" install_libcmek || finish
new_hierarchy
# With what 'make deps' put into build/venv for some tests.
PYTHONPATH=${PYTHONPATH:-}:$(echo "$root"/build/venv/lib/python3*/site-packages) tap_program "$python" "$root/tests/bindings/python.py"

sealed_by_python() { "$python" -c "import cmek; cmek.open().zone('prod/orders').seal_file('$work/dist/plain', '$work/dist/py.cmek')"; }
opened_by_python() { "$python" -c "import cmek; cmek.open().unseal_file('$work/dist/tool.cmek', '$work/dist/back')" && cmp "$work/dist/plain" "$work/dist/back"; }
head -c 200000 /dev/urandom >"$work/dist/plain"
ok "what Python seals" sealed_by_python
opened_by_tool() { "$cmek" decrypt "$work/dist/py.cmek" - | cmp - "$work/dist/plain"; }
ok "the tool opens" opened_by_tool
ok "what the tool seals" "$cmek" encrypt --project acme --database prod/orders "$work/dist/plain" "$work/dist/tool.cmek"
ok "Python opens" opened_by_python
finish
