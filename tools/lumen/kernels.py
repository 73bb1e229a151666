# SPDX-License-Identifier: BSD-2-Clause
"""Stock kernels: taken from their Debian packages, unpacked under build/kernels, never installed."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lumen import deps, paths, status, ui
from lumen.status import Failure

CLOUD = "linux-image-cloud-amd64"


@dataclass(frozen=True)
class Kernel:
    """One unpacked kernel: its release, bzImage, modules and (if fetched) module build directory."""

    release: str
    tree: Path

    @property
    def image(self):
        return self.tree / f"boot/vmlinuz-{self.release}"

    @property
    def modules(self):
        return self.tree / f"lib/modules/{self.release}"

    @property
    def build_dir(self):
        return self.tree / f"usr/src/linux-headers-{self.release}"


def _depends(package):
    """The names that a package depends on."""
    out = subprocess.run(["apt-cache", "depends", "--important", package],
                         capture_output=True, text=True, check=False).stdout
    return re.findall(r"^\s*Depends: ([^\s<>]+)", out, re.M)


def _image_package(meta):
    """The package with the kernel itself, which the given (meta) package depends on."""
    if re.match(r"linux-image-(unsigned-)?\d", meta):
        return meta
    for name in _depends(meta):
        if name.startswith("linux-image-"):
            return name
    return None


def _resolve(meta):
    """As _image_package, with package lists fetched if there are none."""
    package = _image_package(meta)
    if package is None:
        deps.apt("updating package lists", "update")
        package = _image_package(meta)
    if package is None:
        raise Failure(f"no package {meta} is known to apt here; this needs Debian 12 for amd64.",
                      status.OUR_FAULT if meta == CLOUD else status.BAD_ARGUMENTS)
    return package


def _download(packages, directory):
    """apt-get download into the directory, with new lists if the old ones name files that are gone."""
    words = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *packages]
    try:
        ui.command("downloading the stock kernel", words, cwd=directory)
    except Failure:
        deps.apt("updating package lists", "update")
        ui.command("downloading the stock kernel", words, cwd=directory)


def _parts(image):
    """The packages that hold what used to be in the image's (Debian since forky: kernel and modules)."""
    return [name for name in _depends(image) if name.startswith(("linux-binary-", "linux-modules-"))]


def _header_packages(release):
    """The packages that a module build for this kernel release needs."""
    headers = f"linux-headers-{release}"
    others = [p for p in _depends(headers) if p.startswith(("linux-headers-", "linux-kbuild-"))]
    return [headers, *others]


def _relocate_headers(tree):
    """Debian's header tree includes its other half by an absolute path: make that relative."""
    for makefile in tree.glob("usr/src/linux-headers-*/Makefile"):
        text = makefile.read_text()
        match = re.fullmatch(r"include /usr/src/(\S+)/Makefile\s*", text)
        if match:
            here = "$(dir $(abspath $(lastword $(MAKEFILE_LIST))))"
            makefile.write_text(f"include {here}../{match[1]}/Makefile\n")


def _unpack(debs, tree, release):
    for deb in debs:
        ui.command(f"unpacking {deb.name.partition('_')[0]}", ["dpkg", "-x", deb, tree])
    _relocate_headers(tree)
    ui.command("indexing kernel modules",
               ["env", "PATH=/usr/sbin:/sbin:/usr/bin:/bin", "depmod", "-b", tree, release])


def _fetch(meta, release_file, headers):
    image = _resolve(meta)
    release = re.sub(r"^linux-image-(unsigned-)?", "", image)
    tree = paths.KERNELS / release
    partial = paths.KERNELS / f"{release}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "debs").mkdir(parents=True)
    ui.say(f"fetching {image} (unpacked under build/kernels, not installed)")
    packages = [image, *_parts(image)] + (_header_packages(release) if headers else [])
    _download(packages, partial / "debs")
    _unpack(sorted((partial / "debs").glob("*.deb")), partial, release)
    shutil.rmtree(partial / "debs")
    shutil.rmtree(tree, ignore_errors=True)
    partial.rename(tree)
    release_file.write_text(release + "\n")


def get(meta=CLOUD, headers=True, update=False):
    """The kernel of a Debian (meta) package. What was fetched once is kept until update is asked for."""
    paths.KERNELS.mkdir(parents=True, exist_ok=True)
    release_file = paths.KERNELS / f"{meta}.release"
    for attempt in ("look", "fetch"):
        if release_file.exists() and not (update and attempt == "look"):
            release = release_file.read_text().strip()
            kernel = Kernel(release, paths.KERNELS / release)
            if kernel.image.exists() and (kernel.build_dir.exists() or not headers):
                return kernel
        if attempt == "look":
            _fetch(meta, release_file, headers)
    raise Failure(f"the package for {meta} did not contain what a kernel package should.")
