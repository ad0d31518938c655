#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Nothing that was acknowledged is lost between two NFS clients: two mounts of one export.

usage: two-nfs.py FS-TWO-HOSTS

Server and clients are this host's kernel, in a network and a mount namespace that end with the test.
"""
import os
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
MOUNTS = ("source", "destination")


def skip(why):
    print(f"{why}; it runs as root where the kernel has nfs and nfsd (modprobe nfs nfsd) and "
          "nfs-kernel-server is installed")
    sys.exit(SKIPPED)


def run(*command, **how):
    return subprocess.run(command, check=False, capture_output=True, text=True, **how)


def must(*command):
    done = run(*command)
    if done.returncode:
        skip(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")


def kernel_has(filesystem):
    run("modprobe", filesystem) if shutil.which("modprobe") else None
    with open("/proc/filesystems", encoding="ascii") as known:
        return any(line.split()[-1] == filesystem for line in known)


def check_machine():
    if os.geteuid() != 0:
        skip("mounts are root's to make")
    for filesystem in ("nfs4", "nfsd"):
        if not kernel_has(filesystem):
            skip(f"this kernel has no {filesystem}")
    for program in ("rpc.nfsd", "rpc.mountd", "exportfs", "mount.nfs"):
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            skip(f"there is no {program}")


def serve(base):
    """A server of its own: this network namespace has its own threads, exports and port."""
    must("ip", "link", "set", "lo", "up")
    must("mount", "-t", "tmpfs", "state", "/var/lib/nfs")
    for name in ("etab", "rmtab", "xtab"):
        with open(f"/var/lib/nfs/{name}", "w", encoding="ascii"):
            pass
    os.makedirs("/var/lib/nfs/v4recovery", exist_ok=True)
    if not os.path.exists("/proc/fs/nfsd/threads"):
        must("mount", "-t", "nfsd", "nfsd", "/proc/fs/nfsd")
    must("mount", "-t", "tmpfs", "export", f"{base}/export")
    must("exportfs", "-i", "-o", "rw,no_root_squash,insecure,fsid=0", f"127.0.0.1:{base}/export")
    mountd = subprocess.Popen(["rpc.mountd", "--foreground", "--no-nfs-version", "3"],
                              stderr=subprocess.DEVNULL)
    must("rpc.nfsd", "--no-nfs-version", "3", "--host", "127.0.0.1", "2")
    return mountd


def main():
    test = os.path.abspath(sys.argv[1])
    check_machine()
    if os.environ.get("TWO_NFS_INSIDE") != "1":
        inside = {**os.environ, "TWO_NFS_INSIDE": "1"}
        sys.exit(subprocess.run(["unshare", "--net", "--mount", sys.executable, __file__, test],
                                env=inside, check=False).returncode)
    with tempfile.TemporaryDirectory(prefix="gw-nfs-") as base:
        for name in ("export", *MOUNTS):
            os.mkdir(f"{base}/{name}")
        mountd = serve(base)
        try:
            for name in MOUNTS:
                must("mount", "-t", "nfs4", "-o", "nosharecache,actimeo=600", "127.0.0.1:/",
                     f"{base}/{name}")
            result = subprocess.run([test, *(f"{base}/{name}" for name in MOUNTS)], check=False)
        finally:
            for name in MOUNTS:
                run("umount", "-l", f"{base}/{name}")
            run("rpc.nfsd", "0")
            run("umount", "-l", f"{base}/export")
            mountd.terminate()
            mountd.wait()
    sys.exit(result.returncode)


main()
