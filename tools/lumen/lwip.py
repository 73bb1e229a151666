# SPDX-License-Identifier: BSD-2-Clause
"""lwIP, for examples/http: Debian's source package, unpacked in build/lwip, never installed.

Debian's libraries of it are for programs with an operating system below them. The source is asked for
where apt has its packages from, with lists of our own: apt's configuration stays as it is."""

import shutil
import subprocess

from lumen import deps, paths, ui
from lumen.status import Failure

PACKAGE = "lwip"
BINARY = "liblwip-dev"  # a package that is made of it: whoever offers this one has the source
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
FORMAT = "$(REPO_URI) $(RELEASE) $(COMPONENT)"


def _output(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def _origins():
    """(repository, release, component) of each list of packages in which the binary package is."""
    policy = _output("apt-cache", "policy", BINARY)
    for line in _output("apt-get", "indextargets", "--format", FORMAT, "Created-By: Packages").splitlines():
        repository, release, component = line.split(" ")
        if f"{repository.rstrip('/')} {release}/{component} " in policy:
            yield repository, release, component


def _resolve():
    """As _origins, with package lists fetched if there are none."""
    found = list(_origins())
    if not found:
        deps.apt("updating package lists", "update")
        found = list(_origins())
    if not found:
        raise Failure(f"no package {BINARY} is known to apt here; this needs Debian 12 for amd64.")
    return found


def _fetch(partial):
    sources, lists = partial / "sources.list", partial / "lists"
    (lists / "partial").mkdir(parents=True)
    (partial / "cache").mkdir()
    sources.write_text("".join(f"deb-src [signed-by={KEYRING}] {' '.join(origin)}\n" for origin in _resolve()))
    words = ["apt-get", "-q", "-o", f"Dir::Etc::SourceList={sources}", "-o", "Dir::Etc::SourceParts=-",
             "-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={partial / 'cache'}",
             "-o", "APT::Sandbox::User=root"]
    ui.command("fetching the list of source packages", [*words, "update"], cwd=partial)
    ui.command("fetching lwIP's source", [*words, "--only-source", "source", PACKAGE], cwd=partial)


def get():
    """build/lwip is there when this returns."""
    if paths.LWIP.exists():
        return
    deps.need(deps.LWIP)
    ui.say(f"fetching the source of {PACKAGE} (unpacked under build/lwip, not installed)")
    partial = paths.LWIP.with_name("lwip.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    _fetch(partial)
    trees = [path for path in partial.glob(f"{PACKAGE}-*") if path.is_dir()]
    if len(trees) != 1 or not (trees[0] / "src/core/tcp.c").exists():
        raise Failure(f"the source package {PACKAGE} does not contain what it should.")
    trees[0].rename(paths.LWIP)
    shutil.rmtree(partial)
