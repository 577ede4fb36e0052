#!/bin/sh
# Installs what tests and benches use and is missing, where it may: the Debian packages of packages.txt, servers (unpacked
# into .make/debian, for their packages would start them), and the npm packages of requirements/npm (into .make/npm).
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

servers="nginx memcached mariadb-server-core postgresql"

unpacked() {
    (cd .make/debian/usr && ls sbin/nginx bin/memcached sbin/mariadbd lib/postgresql/*/bin/postgres) >/dev/null 2>&1
}

# The packages that are unpacked: postgresql names the one of the version that Debian has.
packages_of_servers() {
    for server in $servers; do
        if [ "$server" = postgresql ]; then depends_of postgresql; else echo "$server"; fi
    done
}

depends_of() {
    apt-cache depends --important "$@" | sed -n 's/^ .*Depends: \([a-z0-9.+-]*\)$/\1/p' | sort -u
}

# And what they need to start: PostgreSQL does without LLVM, which is larger than all the rest.
libraries_of_servers() {
    # shellcheck disable=SC2046 # a list of words
    depends_of $(packages_of_servers) | grep '^lib' | grep -v llvm
}

unpack_servers() {
    rm -rf .make/debian
    mkdir -p .make/debian
    # shellcheck disable=SC2046 # a list of words
    (cd .make/debian && apt-get download -qq -o APT::Sandbox::User=root $(packages_of_servers) &&
        for package in *.deb; do dpkg-deb --extract "$package" . && rm "$package"; done) ||
        echo "unpacking $servers failed; going on without" >&2
}

install_npm_packages() {
    mkdir -p .make/npm
    cp requirements/npm/*.json .make/npm
    # Without the packages' own scripts: their programs are used where they are.
    (cd .make/npm && npm ci --ignore-scripts --no-audit --no-fund --silent) ||
        echo "npm ci failed; going on without" >&2
}

packages=$(missing)
if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && { [ -n "$packages" ] || ! unpacked; }; then
        debian update -qq
    fi
    if [ "$(id -u)" = 0 ] && [ -n "$packages" ]; then
        echo "installing Debian packages: $packages"
        # shellcheck disable=SC2086 # a list of words
        debian install -y -qq --no-install-recommends $packages
        packages=$(missing)
    fi
    if ! unpacked; then
        unpack_servers
        # shellcheck disable=SC2046 # a list of words
        [ "$(id -u)" != 0 ] || debian install -y -qq --no-install-recommends --no-upgrade $(libraries_of_servers)
    fi
fi
npm=.make/npm/node_modules/.package-lock.json
if command -v npm >/dev/null 2>&1 && [ ! requirements/npm/package-lock.json -ot $npm ]; then
    echo "installing the npm packages of requirements/npm"
    install_npm_packages
fi
unpacked || packages="$packages $servers"
[ -e $npm ] || packages="$packages npm"
if [ -n "$packages" ]; then
    echo "notice: missing, and what needs it is skipped: $packages" >&2
    echo "notice: as root, run: apt-get install $packages" >&2
    exit 0
fi
touch .make/packages
