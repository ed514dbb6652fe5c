"""Where Swift runs: a swiftc of 6.0 or newer on the path, otherwise a Debian with one, in the user's cache folder.

The Debian is set up once by debootstrap and used in a chroot, which sees the checkout as /checkout.
`python -m swift.toolchain` sets it up, and exits with status 2 where it cannot.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

CHECKOUT = Path(__file__).resolve().parents[1]
SUITE = "trixie"
PACKAGES = "swiftlang,libc6-dev,libstdc++-14-dev,libssl-dev,binutils,git,ca-certificates"
DEBIANS = "usr/libexec/swift/bin"  # where Debian has the programs that are not on the path


class Toolchain:
    """Where swift runs: on this system, or in ``root``; its temporary files go to ``temporary``."""

    def __init__(self, root: Path | None, temporary: Path) -> None:
        self.root = root
        self.temporary = temporary

    def tool(self, name: str) -> str | None:
        """A program of the toolchain beside swift itself, as swift sees it; None where it is missing."""
        place = Path(DEBIANS) / name
        result = shutil.which(name) if self.root is None else None
        return result or (f"/{place}" if ((self.root or Path("/")) / place).exists() else None)

    def inside(self, path: Path) -> str:
        """``path`` as swift sees it."""
        return str(path) if self.root is None else f"/checkout/{path.relative_to(CHECKOUT)}"

    def outside(self, path: str) -> Path:
        """Where a program of the toolchain is on this system."""
        return Path(path).resolve() if self.root is None else self.root / path.lstrip("/")

    def run(self, command: Sequence[str], **environment: str) -> str:
        """What it wrote; a program that fails, or that warns, ends this one."""
        self.temporary.mkdir(parents=True, exist_ok=True)
        environment = {"TMPDIR": self.inside(self.temporary), **environment}
        command, here = list(command), {**os.environ, **environment}
        whole = command if self.root is None else _in_namespace(self.root, command, environment)
        out = subprocess.PIPE, subprocess.STDOUT
        ran = subprocess.run(whole, cwd=CHECKOUT, env=here, check=False, stdout=out[0], stderr=out[1], text=True)
        if ran.returncode != 0 or re.search(r"\bwarning: ", ran.stdout):
            why = "warned" if ran.returncode == 0 else f"ended with status {ran.returncode}"
            sys.exit(f"{ran.stdout}\nswift: {shlex.join(command[:2])} {why}")
        return ran.stdout


def _in_namespace(root: Path, command: Sequence[str], environment: dict[str, str]) -> list[str]:
    """In a mount namespace of its own: nothing stays mounted, however this ends."""
    place = shlex.quote(str(root))
    words = shlex.join(["env", "HOME=/root", *(f"{name}={value}" for name, value in environment.items()), *command])
    script = (
        f"mount --make-rprivate / && mkdir -p {place}/checkout && mount -t proc proc {place}/proc && "
        f"mount --rbind /dev {place}/dev && mount --bind {shlex.quote(str(CHECKOUT))} {place}/checkout && "
        f"exec chroot {place} sh -c {shlex.quote(f'cd /checkout && exec {words}')}"
    )
    return ["unshare", "--mount", "sh", "-c", script]


def toolchain(temporary: Path) -> Toolchain:
    """The one of this machine, set up where it is missing; what is missing for that ends the program with status 2."""
    result = shutil.which("swiftc")
    if result is not None:
        version = subprocess.run([result, "--version"], capture_output=True, text=True, check=False).stdout
        number = re.search(r"Swift version (\d+)\.(\d+)", version)
        if number is not None and int(number[1]) >= 6:
            return Toolchain(None, temporary)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = cache / "coreml-updatable" / f"swift-{SUITE}"
    if os.geteuid() != 0 or (not _is_complete(root) and shutil.which("debootstrap") is None):
        _stop(
            "no swiftc of 6.0 or newer is on the path; install Swift (Debian 13: apt-get install swiftlang libssl-dev; "
            "elsewhere from swift.org, with OpenSSL's headers), or install debootstrap and run this as root, which "
            f"sets up Debian 13 with Swift in {root} (3 GB)"
        )
    if not _is_complete(root):
        _set_up(root)
    tried = subprocess.run(
        _in_namespace(root, ["swiftc", "--version"], {}), capture_output=True, text=True, check=False
    )
    if tried.returncode != 0:
        _stop(f"Swift does not run in {root}: {tried.stderr.strip()}; root needs the right to mount there")
    return Toolchain(root, temporary)


def _is_complete(root: Path) -> bool:
    return (root / "usr/bin/swiftc").exists()


def _set_up(root: Path) -> None:
    print(f"setting up Swift in {root} (once, some minutes, 3 GB)", flush=True)
    partial = root.with_suffix(".partial")  # renamed when it is complete
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(partial), *_mirror()]
    log = root.with_suffix(".log")
    with log.open("w") as output:
        if subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode != 0:
            _stop(f"debootstrap failed; see {log}")
    shutil.rmtree(partial / "var/cache/apt/archives", ignore_errors=True)
    partial.rename(root)


def _mirror() -> list[str]:
    """Where this machine's apt takes packages from; nothing where debootstrap's own default serves."""
    for file in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        if file.is_file():
            match = re.search(r"^(?:URIs:|deb)\s+(?:\[[^]]*\]\s+)?(http\S+/debian)\b", file.read_text(), re.MULTILINE)
            if match is not None:
                return [match[1]]
    return []


def _stop(why: str) -> NoReturn:
    print(f"swift: {why}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    toolchain(Path(tempfile.gettempdir()))
