#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# build.sh KDIR ROOT OUT DEPFILE: builds the module in the directory of OUT (a .ko) and leaves ROOT alone.
# Kbuild writes beside its sources, so it gets a directory of links to them. It cannot do with a space or a
# colon in a path: then it gets a copy of the kernel's headers in a directory without.
set -eu
kdir=$1 root=$(realpath "$2") out=$3 depfile=$4
dir=$(realpath "$(dirname "$out")")/kbuild

case $dir$kdir$root in
*[[:space:]:]*)
	away=$(mktemp -d /tmp/lumen-kbuild.XXXXXX)
	trap 'rm -rf "$away"' EXIT
	cp -a "$(realpath "$kdir/../..")" "$away/usr"
	kdir=$away/usr/src/$(basename "$kdir") dir=$away/kbuild top=$away/top
	ln -s "$root" "$top"
	;;
*) top=$root ;;
esac

mkdir -p "$dir"
ln -sf "$root"/parent/driver/*.[ch] "$root/parent/driver/Makefile" "$dir/"
make -s -C "$kdir" M="$dir" TOP="$top" modules >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
grep -E 'warning|WARNING' "$dir/log" >&2 || :
strip --strip-debug -o "$out" "$dir/mshv.ko"
{
	printf '%s:' "$out"
	printf '%s\n' "$root"/parent/driver/*.[ch] "$root"/hypercall/*.h | sed 's/ /\\ /g; s/^/ /' | tr -d '\n'
} >"$depfile"
