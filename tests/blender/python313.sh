#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Runs a command where Python 3.13 is python3: in a Debian trixie of its own below ROOT, which is made
# at the first call (16 to 90 seconds, 200 MB). Blender 5.1 and later need that Python.
#
#     sh tests/blender/python313.sh ROOT COMMAND [ARGUMENT...]
#
# As root, on Debian. The command sees the working directory, the home folder and /tmp at their usual
# paths and the whole machine below /host; `tweencel` there is the machine's own, named by the
# variable TWEENCEL_ON_HOST. Everything is mounted in a mount namespace of this one command, so
# nothing stays mounted below ROOT: deleting ROOT is safe.
set -eu
root=$1
shift

if [ ! -e "$root/.ready" ]; then
    command -v mmdebstrap >/dev/null ||
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends mmdebstrap; }
    rm -rf "$root"
    mmdebstrap --quiet --variant=minbase --aptopt='APT::Install-Recommends "false"' \
        --include=ca-certificates,python3,python3-venv,libegl1,libegl-mesa0,libgl1,libgl1-mesa-dri \
        --include=libx11-6,libxi6,libxxf86vm1,libxfixes3,libxrender1,libxkbcommon0,libsm6,libice6 \
        trixie "$root"
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    cat >"$root/usr/local/bin/tweencel" <<'WRAPPER'
#!/bin/sh
exec chroot /host env --chdir="$PWD" "$TWEENCEL_ON_HOST" "$@"
WRAPPER
    chmod +x "$root/usr/local/bin/tweencel"
    touch "$root/.ready"
fi

exec unshare --mount --propagation private sh -eu -c '
    root=$1
    shift
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    for shared in "$HOME" /tmp "$PWD"; do
        mkdir -p "$root$shared"
        mount --rbind "$shared" "$root$shared"
    done
    mkdir -p "$root/host"
    mount --rbind / "$root/host"
    exec chroot "$root" env --chdir="$PWD" PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin "$@"
' sh "$root" "$@"
