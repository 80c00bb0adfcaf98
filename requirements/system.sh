#!/bin/sh
# Debian packages that the tests use: a browser, offscreen OpenGL for the renderer, a speech synthesiser, JavaScript.
# `system.sh foreign` adds other people's programs that the slow tests speak to: GStreamer's WebRTC, coturn, Janus and Firefox.
# Installs what is missing when it may; otherwise says what is missing, and the tests that need it are skipped and say so.
set -eu

packages="libegl1 libgles2 libgl1 libgl1-mesa-dri espeak-ng"
foreign="gstreamer1.0-plugins-bad gstreamer1.0-plugins-good gstreamer1.0-libav gstreamer1.0-nice python3-gst-1.0 gir1.2-gst-plugins-bad-1.0 coturn janus firefox-esr"
[ "${1:-}" = foreign ] && packages="$packages $foreign"
missing=""
if command -v dpkg-query >/dev/null; then
    for package in $packages; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok' || missing="$missing $package"
    done
else
    missing="$packages"
fi
command -v node >/dev/null || missing="$missing nodejs"
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing="$missing chromium"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    found=""
    for package in $missing; do
        if apt-cache show "$package" >/dev/null 2>&1; then
            found="$found $package"
        else
            echo "This system has no package $package; the tests that need it are skipped." >&2
        fi
    done
    # shellcheck disable=SC2086
    [ -z "$found" ] || apt-get install -y -qq --no-install-recommends $found >/dev/null
else
    echo "The tests want these system packages, install them first:$missing" >&2
fi
