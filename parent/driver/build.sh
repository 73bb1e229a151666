#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# build.sh KDIR ROOT OUT DEPFILE: builds the module in the directory of OUT (a .ko) and leaves ROOT alone.
# Kbuild writes beside its sources, so it gets a directory of links to them.
set -eu
kdir=$1 root=$(realpath "$2") out=$3 depfile=$4
dir=$(realpath "$(dirname "$out")")/kbuild
mkdir -p "$dir"
ln -sf "$root"/parent/driver/*.[ch] "$root/parent/driver/Makefile" "$dir/"
make -s -C "$kdir" M="$dir" TOP="$root" modules >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
grep -E 'warning|WARNING' "$dir/log" >&2 || :
strip --strip-debug -o "$out" "$dir/mshv.ko"
printf '%s:' "$out" >"$depfile"
printf ' %s' "$root"/parent/driver/*.[ch] "$root"/hypercall/*.h >>"$depfile"
