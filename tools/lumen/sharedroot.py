# SPDX-License-Identifier: BSD-2-Clause
"""Jobs of several tests in one root partition: a boot of it costs more than many a child.

A job is a shell script that runs in the root, in a directory of its own. Some run side by side. It finds

    $JOB           a prefix for the names of its children, or the name of its only one
    $FILES         a directory with its files; it is the current one
    $DISK0 ...     its disks
    $LINUX         what the command line of a Linux begins with
    child_console, child_notes   files that it may fill: they are part of its result

Whatever it leaves running is ended behind it. If the machine ends under them, the jobs that were running
have failed, and those that had not begun are run in another one."""

import re
import shlex
from dataclasses import dataclass, field

from lumen import paths, qemu, run as runs, status, ui

LANES = 3  # jobs at once: one that waits leaves its processor to another
ROOT_CPUS = 2
MAX_DISKS = 28  # of a machine: QEMU's PCI bus has 32 slots, of which three are taken
TIMEOUT = 240  # seconds for a job, unless it says otherwise
NAME = "shared-root"

# What comes back: a line when a job starts, and one when it has ended, followed by as many bytes as it
# says: of the script's output, the child's console, its notes, and the ends of the workers' logs.
MARK = re.compile(rb"@start (\d+)\n|@job (\d+) status (\d+) seconds (\d+) bytes (\d+) (\d+) (\d+) (\d+)\n")

SCRIPT = r"""
seconds() { cut -d. -f1 /proc/uptime; }

end_children()
{
	for directory in "/run/lumen/$1" "/run/lumen/$1"-*; do
		[ -d "$directory" ] || continue
		tail -c 3000 "$directory/log"
		lumenctl kill "${directory##*/}" || :
		lumenctl delete "${directory##*/}"
	done >"$2/log" 2>/dev/null
}

report()
{
	cd "/run/jobs/$1"
	for part in out child_console child_notes log; do
		tail -c 1000000 $part >$part.end 2>/dev/null # nobody writes there any more
	done
	printf '@job %s status %s seconds %s bytes %s %s %s %s\n' "$1" "$2" "$3" \
		$(stat -c %s out.end child_console.end child_notes.end log.end)
	cat out.end child_console.end child_notes.end log.end
}

run_job()
{
	began=$(seconds)
	mkdir "/run/jobs/$1"
	echo "start $1" >&3
	. "/lumen/job$1.env"
	timeout -s KILL "$TIMEOUT" sh -c 'cd "$FILES" && exec sh "/lumen/job$1.sh"' sh "$1" \
		>"/run/jobs/$1/out" 2>&1 </dev/null 3>&-
	ended=$?
	end_children "$JOB" "/run/jobs/$1"
	echo "end $1 $ended $(($(seconds) - began))" >&3
}

lane()
{
	n=0
	while [ $n -lt $JOBS ]; do
		! mkdir "/run/jobs/taken.$n" 2>/dev/null || run_job $n
		n=$((n + 1))
	done
}

# What is said about jobs is said here, so that it does not mix.
mkdir /run/jobs
mkfifo /run/jobs/told
exec 3<>/run/jobs/told
lanes=0
while [ $lanes -lt $LANES ]; do
	lane &
	lanes=$((lanes + 1))
done
while [ $JOBS -gt 0 ] && read -r what number ended took <&3; do
	case $what in
	start) echo "@start $number" ;;
	end)
		report $number $ended $took
		rm -r "/run/jobs/$number"
		JOBS=$((JOBS - 1))
		;;
	esac
done
"""

CHILD = 'lumenctl run "$JOB" %s >child_console 2>child_notes'


@dataclass
class Job:
    """What a test asks for. files: {name: path}. memory: MiB for all of its children."""

    script: str
    files: dict = field(default_factory=dict)
    disks: list = field(default_factory=list)
    memory: int = 64
    timeout: int = TIMEOUT


def child(kernel, initrd=None, append="", disks=(), memory=512, cpus=1, timeout=TIMEOUT, options=()):
    """A job that is one child. options: more words for lumenctl."""
    words = ["--kernel", "$FILES/kernel", "--memory", f"{memory}M", "--cpus", str(cpus)]
    files = {"kernel": kernel}
    if initrd:
        files["initrd"] = initrd
        words += ["--initrd", "$FILES/initrd"]
    for number, disk in enumerate(disks):
        words += ["--disk", f"$DISK{number}{runs.disk_options(disk)}"]
    words = [f'"{word}"' for word in words] + [shlex.quote(word) for word in (
        "--append", append, "--timeout", str(timeout), *options)]
    return Job(CHILD % " ".join(words), files, list(disks), memory, timeout + runs.WORKER_TIME)


@dataclass
class JobResult:
    """How a job ended. console: its only child's, or what the script said."""

    status: int = status.OUR_FAULT
    console: str = ""
    notes: list = field(default_factory=list)
    log: str = ""
    seconds: int = 0
    where: str = ""

    def evidence(self):
        """For a test that failed."""
        yield f"status {self.status}, logs of the machine in {self.where}"
        for name, text, lines in (("console", self.console, 20), ("worker", self.log, 15)):
            yield f"-- {name}:"
            yield from text.replace("\r", "").splitlines()[-lines:]
        yield from (f"note: {note}" for note in self.notes[-12:])


def _text(data):
    return data.decode(errors="replace")


def _result(console, at, sizes, code, seconds):
    parts = []
    for size in sizes:
        parts.append(_text(console[at:at + size]))
        at += size
    out, child_console, notes, log = parts
    return JobResult(code, out + child_console, notes.splitlines(), log, seconds)


def parse(console):
    """({number: JobResult} of those that have ended, {numbers of those that were started})"""
    ended, started, at = {}, set(), 0
    while mark := MARK.search(console, at):
        at = mark.end()
        if mark[1]:
            started.add(int(mark[1]))
            continue
        number, code, seconds, *sizes = (int(group) for group in mark.groups()[1:])
        if at + sum(sizes) > len(console):
            break  # the machine ended in its midst
        ended[number] = _result(console, at, sizes, code, seconds)
        at += sum(sizes)
    return ended, started


def _in_order(jobs):
    """Their numbers, the longest first as far as limits tell: one that begins last should not last."""
    return sorted(range(len(jobs)), key=lambda number: -jobs[number].timeout)


def _what_fits(numbers, jobs):
    """As many, from the first on, as one machine has room for."""
    disks, count = 0, 0
    for number in numbers:
        disks += len(jobs[number].disks)
        if count and disks > MAX_DISKS:
            break
        count += 1
    return numbers[:count]


def _environment(number, job, first_disk):
    values = {"JOB": f"job{number}", "FILES": f"/run/jobs/{number}", "TIMEOUT": job.timeout, "LINUX": runs.linux_append(qemu.choose_accelerator("auto"))}
    for index in range(len(job.disks)):
        values[f"DISK{index}"] = f"/dev/lumen-disk{first_disk + index}"
    return "".join(f"export {name}={shlex.quote(str(value))}\n" for name, value in values.items())


def _options(jobs, directory):
    """One machine with all these jobs in it."""
    files, disks, sources = {}, [], {}
    for number, job in enumerate(jobs):
        links = "".join(f"ln -s /lumen/{sources.setdefault(path, f'file{len(sources)}')} {shlex.quote(name)}\n"
                        for name, path in job.files.items())
        for suffix, text in (("env", _environment(number, job, len(disks))), ("sh", links + job.script)):
            files[f"job{number}.{suffix}"] = directory / f"job{number}.{suffix}"
            files[f"job{number}.{suffix}"].write_text(text)
        disks += job.disks
    files |= {name: path for path, name in sources.items()}
    memory = sum(sorted((job.memory for job in jobs), reverse=True)[:LANES])
    longest = max(job.timeout for job in jobs)
    return runs.Options(name=NAME, mode="test", script=f"LANES={LANES} JOBS={len(jobs)}\n{SCRIPT}", files=files,
                        disks=disks, memory=memory + 8 * LANES, root_cpus=ROOT_CPUS,
                        timeout=longest + sum(job.timeout for job in jobs) / LANES)


def _boot(jobs, kernel):
    """{number: JobResult} of the jobs that were started; if none was, of all."""
    with runs.Directory(NAME, others=True) as directory:
        machine = runs.start(_options(jobs, directory), kernel, directory)
    ended, started = parse(machine.raw)
    where = paths.relative(machine.directory)
    lost = JobResult(notes=[*machine.notes, f"the machine ended under it (status {machine.status})"],
                     log=ui.tail(machine.directory / "root.log", 15))
    results = {number: ended.get(number, lost) for number in started or range(len(jobs))}
    for result in results.values():
        result.where = where
    return results


def run(jobs, kernel):
    """A JobResult for each, in order."""
    results = {}
    while len(results) < len(jobs):
        numbers = _what_fits([n for n in _in_order(jobs) if n not in results], jobs)
        for index, result in _boot([jobs[n] for n in numbers], kernel).items():
            results[numbers[index]] = result
    return [results[number] for number in range(len(jobs))]
