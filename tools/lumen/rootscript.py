# SPDX-License-Identifier: BSD-2-Clause
"""Shell functions for scripts that run in the root partition."""

# What children take and have to give back: the driver's counters, and memory.
RESOURCES = r"""
counters() { (cd /sys/class/misc/mshv && grep . partitions vps ports connections *_pages); }

# What is available, and what processors keep in their lists of free pages: MemAvailable leaves
# those out, and they hold up to 22 MiB each.
free_kib()
{
	echo 3 >/proc/sys/vm/drop_caches
	awk '/^MemAvailable:/ { kib += $2 } $1 == "count:" { kib += 4 * $2 } END { print kib }' \
		/proc/meminfo /proc/zoneinfo
}
"""

# complete FILE: its lines; not the last one, if that is still being written. said FILE TEXT: one of them has
# TEXT; until it is there that is one process. started DIRECTORY: whether the child there runs, without one.
LINES = r"""
said() { grep -q "$2" "$1" 2>/dev/null && complete "$1" | grep -q "$2"; }

started()
{
	state=
	read -r state 2>/dev/null <"$1/status"
	[ "$state" = started ]
}

complete()
{
	if [ -z "$(tail -c 1 "$1")" ]; then cat "$1"; else sed '$d' "$1"; fi | tr -d '\r'
}
"""

# until_it WHAT COMMAND...: at most a minute; then the script's fail says what has not become so.
UNTIL = r"""
until_it()
{
	what=$1 tries=0
	shift
	until "$@" >/dev/null 2>&1; do
		[ $((tries += 1)) -le 300 ] || fail "$what"
		usleep 200000
	done
}
"""

# The root is looked at while something goes on: heart_begin, then heart_end, after which $gap is the
# longest time in which it was not there, in hundredths of a second.
HEART = r"""
# $up: the time in hundredths of a second, without a process for it.
now() { read -r up _ </proc/uptime; up="${up%.*}${up#*.}"; }

beat()
{
	worst=0
	now
	while [ -e /tmp/beats ]; do
		last=$up
		usleep 20000
		now
		[ $((up - last)) -gt "$worst" ] || continue
		worst=$((up - last))
		echo "$worst" >/tmp/gap
	done
}

heart_begin()
{
	echo 0 >/tmp/gap
	: >/tmp/beats
	beat &
	heart=$!
}

heart_end()
{
	[ -e /tmp/beats ] || return 0
	rm /tmp/beats
	wait $heart
	gap=$(cat /tmp/gap)
}
"""
