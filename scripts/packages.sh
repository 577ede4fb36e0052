#!/bin/sh
# Installs the Debian packages of packages.txt that are missing, where it may. Never fails: what still is missing is
# named, and the tests that need it are skipped with a notice. Called by make.
set -eu
cd "$(dirname "$0")/.."

missing() {
    while read -r command package; do
        case $command in '#'* | '') continue ;; esac
        command -v "$command" >/dev/null 2>&1 || echo "$package"
    done <scripts/packages.txt | tr '\n' ' '
}

packages=$(missing)
if [ -n "$packages" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing Debian packages: $packages"
    # shellcheck disable=SC2086 # a list of words
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages; } \
        >/dev/null || echo "apt-get failed; going on without" >&2
    packages=$(missing)
fi
if [ -n "$packages" ]; then
    echo "notice: missing, and what needs it is skipped: $packages" >&2
    echo "notice: as root, run: apt-get install $packages" >&2
    exit 0
fi
mkdir -p .make
touch .make/packages
