# SPDX-License-Identifier: GPL-2.0-or-later
# What contrib/check and contrib/try share. To be sourced, from the top of the tree.
# shellcheck shell=bash
# shellcheck source=contrib/packages
. contrib/packages

fail() {
        printf '%s: %s\n' "contrib/${0##*/}" "$1" >&2
        exit 1
}

# quietly WHAT COMMAND...: shows what it said only if it failed, but for ninja's steps that went well, and ends us.
quietly() {
        local what=$1 log fd
        shift
        # Without a name at once: nothing stays behind when we are interrupted.
        log=$(mktemp)
        exec {fd}<>"$log"
        rm -f "$log"
        echo "$what"
        if ! "$@" >&"$fd" 2>&1 {fd}>&-; then
                grep -v '^\[[0-9/]*\] [CLG]' "/proc/$$/fd/$fd" >&2 || :
                fail "$what failed"
        fi
        exec {fd}>&-
}

# install_packages NAME...: asks the network for nothing when all are there.
install_packages() {
        local name missing=()
        for name; do
                [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
        done
        [ ${#missing[@]} -gt 0 ] || return 0
        [ "$(id -u)" = 0 ] || fail "not root, so cannot install what is missing: ${missing[*]}"
        quietly "installing ${missing[*]}" apt_install "${missing[@]}"
}

apt_install() {
        apt-get -qq update &&
                DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends install "$@"
}

# build DIRECTORY [OPTION]...: configures what is not configured yet, and compiles.
build() {
        quietly "building $1" configure_and_compile "$@"
}

configure_and_compile() {
        local configure=setup
        [ -f "$1/build.ninja" ] && configure=configure
        meson "$configure" "$1" -Dwerror=true "${@:2}" && meson compile -C "$1"
}

# install_build DIRECTORY: puts everything below DIRECTORY/destdir.
install_build() {
        rm -rf "$1/destdir"
        meson install -C "$1" --no-rebuild --quiet --destdir "$PWD/$1/destdir"
}
