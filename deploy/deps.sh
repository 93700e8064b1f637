#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# deploy/deps.sh SET...: installs what is missing of those sets of deploy/packages. Without root it prints the one
# command that would, and fails. Elsewhere than on Debian it names the packages and trusts the reader.
set -eu

for set in "$@"; do
    wanted="${wanted-} $(sed -n "s/^$set: *//p" "$(dirname "$0")/packages" | tr '\n' ' ')"
done

if ! command -v dpkg-query >/dev/null; then
    echo "deps: no dpkg here; needed are, by their Debian names:$wanted" >&2
    exit 0
fi

missing=
for package in $wanted; do
    case $(dpkg-query -W -f '${db:Status-Status} ' "$package" 2>/dev/null || true) in
    installed*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" -ne 0 ]; then
    root='sudo sh -c'
    command -v sudo >/dev/null || root='su root -c'
    echo "deps: packages are missing for: $*. Run this, then try again:" >&2
    echo "    $root 'apt-get update && $install'" >&2
    exit 1
fi

export DEBIAN_FRONTEND=noninteractive
echo "deps: installing$missing"
$install --simulate >/dev/null 2>&1 || apt-get update -q
$install -q || { apt-get update -q && $install -q; }
