#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# docs/library.md as it stands: each of its programs is put into its file, each of its lines typed, from the packages to the first sealed
# message, which the tool opens; on the embedded KMS, and on AWS's as moto plays it.
#
#   page.sh           on the build, with packages as tools/bindings.py makes them here
#   page.sh FOLDER    in a fresh Debian, as root of it: FOLDER has the Debian packages, which are installed by the page's own lines, and
#                     programs are a user's. FOLDER/moto, if it is there, has the variables of a simulated KMS (tests/sweeps/deb.sh)
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
debs=${1:-}
packages=$work/packages
chmod 755 "$work"
mkdir "$packages" "$work/bin"
: >"$work/run"
settings=(GOTOOLCHAIN=local GOFLAGS=-modcacherw GOPATH="$work/go" PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1)
system=here
[ -z "$debs" ] || system=$(. /etc/os-release && echo "Debian $VERSION_ID")
SECONDS=0

text() { python3 "$root/tests/page_text.py" "$root/docs/library.md" "$@"; }
seen() { echo "$1: $2" >>"$work/run"; }
lines() { # HEADING SED...: what is to be typed there, PACKAGES being ours
    seen "$1" sh
    text "$1" | sed "${@:2}" -e "s|PACKAGES|$packages|g" >"$work/lines"
    [ -s "$work/lines" ]
}
typed() { # in the folder $place
    local who=()
    [ -z "$debs" ] || who=(setpriv --reuid ada --regid ada --init-groups env -i)
    (cd "$place" && timeout 300 "${who[@]}" env "${settings[@]}" sh -eux "$work/lines")
}

# --- The packages

made() { # without a JDK there is no jar, and what is left out is said
    local status=0
    "$root/tools/bindings.py" "$1" || status=$?
    [ $status -eq 0 ] || [ $status -eq 77 ]
}
has_all() { ls "$packages"/python/cmek-*.whl "$packages"/python/cmek-*.tar.gz "$packages"/go/cmek.internal/cmek/@v/*.zip; }
again() {
    local language
    TZ=Asia/Tokyo LANG=C made "$work/again" >/dev/null || return 1
    for language in "$packages"/{python,go,maven}; do
        [ ! -d "$language" ] || diff -r "$language" "$work/again/$(basename "$language")" || return 1
    done
}
java_in() { [ "$("$1/javac" -version 2>&1 | sed -nE 's/^javac ([0-9]+).*/\1/p')" -ge 22 ] 2>/dev/null; }
candidate() { apt-cache policy "$1" | sed -nE 's/^ *Candidate: ([0-9]+:)?([0-9.]+).*/\2/p'; }
at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

if [ -n "$debs" ]; then
    unset CMEK_PKCS11_MODULE AWS_EC2_METADATA_DISABLED
    PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    useradd --create-home --shell /bin/sh ada
    settings+=(HOME=/home/ada PATH="$PATH" LC_ALL=C.UTF-8 GOPATH=/home/ada/go GOCACHE=/home/ada/cache)
    cp "$debs"/*.deb "$packages"
    ok "$system: the lists of packages are fetched" apt-get update -qq
    # What this Debian does not have, or has in a release that is too old, is left out.
    absent=()
    [ -n "$(candidate openjdk-25-jdk-headless)" ] || absent+=(-e '/openjdk/d')
    at_least 1.21 "$(candidate golang-go)" || absent+=(-e '/golang/d')
    lines "The packages" "${absent[@]}" -e 's|^apt install|apt-get install -y -qq --no-install-recommends|'
    ok "$system: the page's own lines install the packages" sh -eux "$work/lines"
    ok "and the loader knows the library" has_line 'libcmek\.so\.0' ldconfig -p
    echo "# $system: the packages are there after $SECONDS s (it took apt most of that)"
else
    seen "The packages" sh # they lie on the build instead
    ok "libcmek is installed" install_libcmek || finish
    ln -s "$cmek" "$work/bin/cmek"
    for jdk in /usr/lib/jvm/*; do
        [ -L "$jdk" ] || ! java_in "$jdk/bin" || ln -sf "$jdk/bin/javac" "$jdk/bin/java" "$work/bin"
    done
    PATH=$work/bin:$PATH
fi
ok "$system: 'make bindings' makes the packages of the languages" made "$packages" || finish
ok "wheel, sdist and what a proxy of Go modules serves" has_all
ok "once more the same bytes" again
chmod -R a+rX "$packages"

# --- In each language

new_place() { # a folder to type in
    place=$(mktemp -d "$work/place.XXXXXX")
    [ -z "$debs" ] || chown ada "$place"
}
missing() { # BLOCK: why this language can't be tried here
    case $1 in
    go) has_go 21 || echo "go, 1.21 or later, is not here" ;;
    java) java_in "$(dirname "$(command -v javac || echo /none/javac)")" || echo "there is no JDK with java.lang.foreign, which is 22 or later" ;;
    esac
}
language() { # HEADING BLOCK FILE PRINTS
    local why
    why=$(missing "$2")
    seen "$1" "$2"
    seen "$1" sh
    if [ -n "$why" ]; then
        skip "$system, $kms: $1, as the page says" "$why"
        return
    fi
    new_place
    text "$1" "$2" >"$place/$3"
    lines "$1"
    ok "$system, $kms: $1, as the page says, from its package to a sealed message" typed || return
    ok "and prints what it should" says "$4"
    sed -i '/^go mod init/d' "$work/lines"
    ok "once more, too" typed
    # shellcheck disable=SC2016 # the inner shell expands
    echo 'test "$(cmek decrypt --name orders/1 row.cmek -)" = "row 1" && ! grep "row 1" row.cmek' >"$work/lines"
    ok "which 'cmek decrypt' opens, with the row in it" typed
}
languages() {
    language C c program.c "static int run(cmek_error **error)"
    language Python python program.py "row 2"
    language Go go main.go "row 2"
    language Java java Program.java "row 2"
    echo "# $system, $kms: all is done after $SECONDS s"
}
database() { # SED...
    [ -n "$debs" ] || new_home
    new_place
    lines "A database to seal in" "$@"
    ok "$system, $kms: a database to seal in" typed || finish
}

kms="embedded KMS"
database -e ''
languages

# Without installing: in a shell that the page's own lines have told where the build lies, and nothing else has.
as_built() { # LINES...: by a shell that begins in the folder of the sources
    env -u CMEK_PKCS11_MODULE -u CMEK_LIBRARY -u PKG_CONFIG_SYSROOT_DIR -u CGO_LDFLAGS "${settings[@]}" \
        sh -euxc ". '$work/lines' && cd '$place' && $1"
}
from_the_build() {
    local jar=$root/bindings/java/src/main/java why
    lines "From where it was built" -e "s|\$PWD/build|$build|" -e "s|\$PWD|$root|"
    new_place
    text C c >"$place/program.c"
    # shellcheck disable=SC2016 # the inner shell expands
    ok "C, from where it was built" as_built 'cc program.c $(pkg-config --cflags --libs cmek) -o program && ./program && cmek decrypt program.cmek -' &&
        ok "prints what it should" says "static int run(cmek_error **error)"
    text Python python >"$place/program.py"
    ok "Python, from where it was built" as_built 'python3 program.py' && ok "prints what it should" says "row 2"
    new_place
    text Go go >"$place/main.go"
    why=$(missing go)
    if [ -n "$why" ]; then
        skip "Go, from where it was built" "$why"
    else
        ok "Go, from where it was built" as_built "go mod init orders && go mod edit -replace cmek.internal/cmek=$root/bindings/go && GOPROXY=off go mod tidy && go run ." &&
            ok "prints what it should" says "row 2"
    fi
    text Java java >"$place/Program.java"
    why=$(missing java)
    if [ -n "$why" ]; then
        skip "Java, from where it was built" "$why"
    else
        ok "Java, from where it was built" as_built "javac -d classes $jar/cmek/*.java Program.java && java --enable-native-access=ALL-UNNAMED -cp classes Program" &&
            ok "prints what it should" says "row 2"
    fi
}
if [ -n "$debs" ]; then
    seen "From where it was built" sh # there is no build
else
    from_the_build
fi

# With AWS the page has another line for the key, in a sentence.
kms="AWS KMS, simulated"
variables=$debs/moto
if [ -n "$debs" ]; then
    mkdir -p /home/ada/aws && chown ada /home/ada/aws
    settings+=(HOME=/home/ada/aws) # with a store of its own
    [ ! -e "$variables" ] || mapfile -t -O "${#settings[@]}" settings < <(sed -n "s/'//g; /=/p" "$variables")
elif python3 -c 'import boto3, moto.server' 2>/dev/null; then
    ok "a simulated KMS" start_moto --region us-west-2 || finish
    variables=$work/moto.out
fi
if [ -e "$variables" ]; then
    add=$(tr '\n' ' ' <"$root/docs/library.md" | sed -n 's/.*With AWS the second line is `\([^`]*\)`.*/\1/p')
    database -e "2s|.*|${add:-false}|" -e "s|alias/my-key|$(sed -n 's/^CMEK_TEST_KMS_ALIAS=//p' "$variables")|"
    languages
    stop_moto
else
    skip "the same with AWS's KMS, simulated" "moto is not here"
fi

# --- Maven

# No plugin is here, and none is fetched: an extension of a build is resolved, with its checksum, before any plugin would run. Maven gives each
# one plexus-utils 1.1, for which an empty jar does.
by_maven() {
    local number file stub=org/codehaus/plexus/plexus-utils/1.1
    mkdir -p "$work/stub/$stub"
    echo '<project><modelVersion>4.0.0</modelVersion><groupId>org.codehaus.plexus</groupId><artifactId>plexus-utils</artifactId><version>1.1</version></project>' \
        >"$work/stub/$stub/plexus-utils-1.1.pom"
    python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1], "w").close()' "$work/stub/$stub/plexus-utils-1.1.jar"
    for file in "$work/stub/$stub"/*.pom "$work/stub/$stub"/*.jar; do sha1sum <"$file" | cut -d' ' -f1 >"$file.sha1"; done
    number=$(basename "$(dirname "$packages"/maven/cmek/cmek/*/*.pom)")
    sed -e "s|PACKAGES|$packages|" -e "s|WORK|$work|" -e "s|NUMBER|$number|" >pom.xml <<'POM'
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>orders</groupId>
  <artifactId>orders</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <pluginRepositories>
    <pluginRepository>
      <id>packages</id>
      <url>file://PACKAGES/maven</url>
    </pluginRepository>
    <pluginRepository>
      <id>stub</id>
      <url>file://WORK/stub</url>
    </pluginRepository>
  </pluginRepositories>
  <build>
    <extensions>
      <extension>
        <groupId>cmek</groupId>
        <artifactId>cmek</artifactId>
        <version>NUMBER</version>
      </extension>
    </extensions>
  </build>
</project>
POM
    mvn --batch-mode --strict-checksums --offline -Daether.offline.protocols=file -Dmaven.repo.local="$work/m2" validate &&
        cmp "$work/m2/cmek/cmek/$number/cmek-$number.jar" "$packages/maven/cmek/cmek/$number/cmek-$number.jar"
}
if [ -n "$debs" ]; then
    : # the page takes the jar itself
elif ! command -v mvn >/dev/null; then
    skip "$system: Maven takes the jar from the repository" "mvn is not here"
elif [ ! -d "$packages/maven" ]; then
    skip "$system: Maven takes the jar from the repository" "without a JDK 22 there is no jar"
else
    new_place
    ok "$system: Maven takes the jar from the repository" env -C "$place" bash -c "$(declare -f by_maven); packages=$packages work=$work; by_maven"
fi

blocks() { text --blocks | sort -u; }
were_run() { sort -u "$work/run"; }
all_of_it() { agree blocks were_run; }
ok "each block of the page was run" all_of_it
finish
