#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs a command as the systemd unit would: shut in by what the unit says, without systemd.

usage: confine.py UNIT COMMAND...

Of the unit's restrictions these are made as systemd.exec(5) describes them: CapabilityBoundingSet,
NoNewPrivileges, RestrictNamespaces, SystemCallFilter, RestrictAddressFamilies,
MemoryDenyWriteExecute, ProtectSystem=full, ProtectProc, ProcSubset, ProtectKernelTunables,
PrivateNetwork, UMask. What takes a control group (DevicePolicy, IPAddressDeny) is left out.
"""
import ctypes
import errno
import os
import re
import subprocess
import sys

PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
CLONE = {"mnt": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000,
         "user": 0x10000000, "pid": 0x20000000, "net": 0x40000000}
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE = 32, 4096, 16384, 1 << 19
PROT_WRITE, PROT_EXEC = 2, 4
AF_UNIX = 1
ALLOW, ERRNO = 0x7fff0000, 0x00050000
NE, MASKED_EQ = 1, 7
TREES = {"full": ("/usr", "/boot", "/efi", "/etc")}

libc = ctypes.CDLL(None, use_errno=True)
seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
seccomp.seccomp_init.restype = ctypes.c_void_p


class Compare(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("how", ctypes.c_int), ("a", ctypes.c_uint64),
                ("b", ctypes.c_uint64)]


def settings(unit):
    """What each setting of the unit says; a repeated one is a list that goes on."""
    found = {}
    with open(unit, encoding="utf-8") as file:
        for name, value in re.findall(r"^(\w+)=(.*)$", file.read(), re.M):
            found[name] = f"{found[name]} {value}" if name in found else value
    return found


def checked(result, what):
    if result != 0:
        number = ctypes.get_errno() or -result
        sys.exit(f"confine: {what}: {os.strerror(number)}")


def mount(source, target, kind, flags, data=None):
    encoded = [text.encode() if text else None for text in (source, target, kind, data)]
    checked(libc.mount(*encoded[:3], ctypes.c_ulong(flags), encoded[3]), f"mount {target}")


def read_only(path):
    if not os.path.isdir(path) or os.path.islink(path):
        return
    mount(path, path, None, MS_BIND | MS_REC)
    mount(None, path, None, MS_REMOUNT | MS_BIND | MS_RDONLY)


def make_mounts(unit):
    spaces = CLONE["mnt"] | (CLONE["net"] if unit["PrivateNetwork"] == "yes" else 0)
    checked(libc.unshare(spaces), "unshare")
    mount(None, "/", None, MS_SLAVE | MS_REC)
    for path in TREES[unit["ProtectSystem"]]:
        read_only(path)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
          f"hidepid={unit['ProtectProc']},subset={unit['ProcSubset']}")
    if unit["ProtectKernelTunables"] == "yes":
        for path in ("/proc/sys", "/proc/irq", "/proc/bus", "/sys"):
            read_only(path)


def drop_capabilities(unit):
    kept = unit["CapabilityBoundingSet"].split()
    number = {name: int(at) for name, at in re.findall(r"^#define (CAP_\w+)\s+(\d+)$", HEADER, re.M)}
    with open("/proc/sys/kernel/cap_last_cap", encoding="utf-8") as file:
        last = int(file.read())
    for cap in range(last + 1):
        if cap not in (number[name] for name in kept):
            checked(libc.prctl(PR_CAPBSET_DROP, cap, 0, 0, 0), f"capability {cap}")


def system_calls(names):
    """Groups (@name) as this systemd knows them, down to the calls in them."""
    calls = set()
    for name in names:
        if not name.startswith("@"):
            calls.add(name)
            continue
        listed = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", name],
                                check=True, text=True, capture_output=True).stdout
        members = [line.strip() for line in listed.splitlines() if line.startswith("    ")]
        calls |= system_calls(member for member in members if not member.startswith("#"))
    return calls


def rule(context, action, call, *compares):
    number = seccomp.seccomp_syscall_resolve_name(call.encode())
    if number < 0:
        return
    array = (Compare * len(compares))(*compares)
    checked(seccomp.seccomp_rule_add_array(ctypes.c_void_p(context), ctypes.c_uint(action), number,
                                           len(compares), array), f"filter {call}")


def allowed_calls(calls):
    context = seccomp.seccomp_init(ctypes.c_uint(ERRNO | errno.EPERM))
    for call in calls | {"execve"}:
        rule(context, ALLOW, call)
    return context


def denied_arguments(unit):
    context = seccomp.seccomp_init(ctypes.c_uint(ALLOW))
    refused = ERRNO | errno.EPERM
    for name, flag in CLONE.items():
        if name not in unit["RestrictNamespaces"].split():
            for call in ("clone", "unshare"):
                rule(context, refused, call, Compare(0, MASKED_EQ, flag, flag))
    rule(context, ERRNO | errno.ENOSYS, "clone3")
    if unit["RestrictAddressFamilies"] == "AF_UNIX":
        rule(context, ERRNO | errno.EAFNOSUPPORT, "socket", Compare(0, NE, AF_UNIX, 0))
    if unit["MemoryDenyWriteExecute"] == "yes":
        both = PROT_WRITE | PROT_EXEC
        rule(context, refused, "mmap", Compare(2, MASKED_EQ, both, both))
        for call in ("mprotect", "pkey_mprotect"):
            rule(context, refused, call, Compare(2, MASKED_EQ, PROT_EXEC, PROT_EXEC))
    return context


def main():
    path, *command = sys.argv[1:]
    unit = settings(path)
    filters = [denied_arguments(unit), allowed_calls(system_calls(unit["SystemCallFilter"].split()))]
    drop_capabilities(unit)
    make_mounts(unit)
    os.umask(int(unit["UMask"], 8))
    if unit["NoNewPrivileges"] == "yes":
        checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    for context in filters:
        checked(seccomp.seccomp_load(ctypes.c_void_p(context)), "filter")
    os.execv(command[0], command)


with open("/usr/include/linux/capability.h", encoding="utf-8") as header:
    HEADER = header.read()
main()
