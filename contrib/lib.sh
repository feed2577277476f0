# SPDX-License-Identifier: GPL-2.0-or-later
# What contrib/check and contrib/try share. To be sourced, from the top of the tree.
# shellcheck shell=bash
# shellcheck source=contrib/packages
. contrib/packages

fail() {
        printf '%s: %s\n' "contrib/${0##*/}" "$1" >&2
        exit 1
}

# install_packages NAME...: asks the network for nothing when all are there.
install_packages() {
        local name missing=()
        for name; do
                [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
        done
        [ ${#missing[@]} -gt 0 ] || return 0
        [ "$(id -u)" = 0 ] || fail "not root, so cannot install what is missing: ${missing[*]}"
        echo "installing ${missing[*]}"
        {
                apt-get -qq update
                DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends install "${missing[@]}"
        } >/tmp/givc-packages.log 2>&1 || { cat /tmp/givc-packages.log >&2; fail "installing ${missing[*]} failed"; }
        rm -f /tmp/givc-packages.log
}

# build DIRECTORY [OPTION]...: configures what is not configured yet, and compiles.
build() {
        local directory=$1 log
        shift
        log=$(mktemp)
        echo "building $directory"
        {
                if [ -f "$directory/build.ninja" ]; then
                        meson configure "$directory" -Dwerror=true "$@"
                else
                        meson setup "$directory" -Dwerror=true "$@"
                fi && meson compile -C "$directory"
        } >"$log" 2>&1 || { grep -v '^\[[0-9/]*\] [CLG]' "$log" >&2; rm -f "$log"; fail "building $directory failed"; }
        rm -f "$log"
}

# install_build DIRECTORY: puts everything below DIRECTORY/destdir.
install_build() {
        rm -rf "$1/destdir"
        meson install -C "$1" --no-rebuild --quiet --destdir "$PWD/$1/destdir"
}
