#!/bin/sh
# Installs what tests and benches use and is missing, where it may: the Debian packages of packages.txt, nginx (unpacked
# into .make/debian, for the package would start a server), and the npm packages of requirements/npm (into .make/npm).
# Never fails: what still is missing is named, and the tests that need it are skipped with a notice. Called by make.
set -eu
cd "$(dirname "$0")/.."
mkdir -p .make

missing() {
    while read -r command package; do
        case $command in '#'* | '') continue ;; esac
        command -v "$command" >/dev/null 2>&1 || [ -e "$command" ] || echo "$package"
    done <scripts/packages.txt | tr '\n' ' '
}

debian() {
    DEBIAN_FRONTEND=noninteractive apt-get "$@" >/dev/null || echo "apt-get $1 failed; going on without" >&2
}

unpack_nginx() {
    rm -rf .make/debian
    mkdir -p .make/debian
    (cd .make/debian && apt-get download -qq -o APT::Sandbox::User=root nginx && dpkg-deb --extract nginx_*.deb . && rm nginx_*.deb) ||
        echo "unpacking nginx failed; going on without" >&2
}

install_npm_packages() {
    mkdir -p .make/npm
    cp requirements/npm/*.json .make/npm
    # Without the packages' own scripts: their programs are used where they are.
    (cd .make/npm && npm ci --ignore-scripts --no-audit --no-fund --silent) ||
        echo "npm ci failed; going on without" >&2
}

packages=$(missing)
nginx=.make/debian/usr/sbin/nginx
if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && { [ -n "$packages" ] || [ ! -x $nginx ]; }; then
        debian update -qq
    fi
    if [ "$(id -u)" = 0 ] && [ -n "$packages" ]; then
        echo "installing Debian packages: $packages"
        # shellcheck disable=SC2086 # a list of words
        debian install -y -qq --no-install-recommends $packages
        packages=$(missing)
    fi
    [ -x $nginx ] || unpack_nginx
fi
npm=.make/npm/node_modules/.package-lock.json
if command -v npm >/dev/null 2>&1 && [ ! requirements/npm/package-lock.json -ot $npm ]; then
    echo "installing the npm packages of requirements/npm"
    install_npm_packages
fi
[ -x $nginx ] || packages="$packages nginx"
[ -e $npm ] || packages="$packages npm"
if [ -n "$packages" ]; then
    echo "notice: missing, and what needs it is skipped: $packages" >&2
    echo "notice: as root, run: apt-get install $packages" >&2
    exit 0
fi
touch .make/packages
