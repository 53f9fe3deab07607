"""A machine of its own for one program: network, /etc/hosts, name server.

    python3 world.py '{"hosts": ..., "names": ..., "listen": ..., "deaf": ..., "order": ...}' PROGRAM ARG...

Everything is in new namespaces that go with the program. Its network is lo alone, so nothing else is reached.
  hosts   /etc/hosts as text
  names   what the name server on 127.0.0.1 says: {"name": [address, ...] or a response code}; else NXDOMAIN; null: none runs
  mute    true: a name server that never answers, instead; the program takes the place of this process
  echo    ["ADDRESS:PORT", ...] where pixi-ws-server --echo listens; its program is "server"
  deaf    ["ADDRESS:PORT", ...] that answer no connection attempt
  addresses  more IPv6 addresses of lo
Exit code, standard output and error are the program's.
"""

import ctypes
import fcntl
import ipaddress
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading

NEW_NET, NEW_MOUNT, NEW_USER = 0x40000000, 0x00020000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
SET_FLAGS, SET_ADDRESS = 0x8914, 0x8916
UP_AND_RUNNING = 0x41
NXDOMAIN = 3
libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount(what, where, flags):
    check(libc.mount(what.encode() if what else None, where.encode(), None, flags, None))


def enter():
    """New namespaces; OSError where they may not be made."""
    uid, gid = os.getuid(), os.getgid()
    check(libc.unshare(NEW_NET | NEW_MOUNT | (NEW_USER if uid else 0)))
    if uid:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w") as f:
                f.write(text)
    mount(None, "/", MS_REC | MS_PRIVATE)


def put_file(path, text):
    """Another file in its place, for whoever is in here."""
    with tempfile.NamedTemporaryFile("w", delete=False) as f:
        f.write(text)
    os.chmod(f.name, 0o644)
    mount(f.name, path, MS_BIND)
    os.unlink(f.name)


def put_up_lo(addresses):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SET_FLAGS, struct.pack("16sh14x", b"lo", UP_AND_RUNNING))
    for address in addresses:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            packed = ipaddress.IPv6Address(address).packed
            fcntl.ioctl(s, SET_ADDRESS, struct.pack("16sIi", packed, 128, socket.if_nametoindex("lo")))


def answer(question, names):
    """RFC 1035: header, the question again, and what names says."""
    at, labels = 12, []
    while question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode())
        at += 1 + question[at]
    kind = int.from_bytes(question[at + 1 : at + 3], "big")
    known = names.get(".".join(labels).lower(), NXDOMAIN)
    code, addresses = (known, []) if isinstance(known, int) else (0, [ipaddress.ip_address(a) for a in known])
    wanted = [a.packed for a in addresses if (a.version == 4) == (kind == 1) and kind in (1, 28)]
    records = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(a)) + a for a in wanted)
    return question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(wanted), 0, 0) + question[12 : at + 5] + records


def serve_names(names):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 53))

    def serve():
        while True:
            question, who = s.recvfrom(4096)
            s.sendto(answer(question, names), who)

    threading.Thread(target=serve, daemon=True).start()


def split(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def make_deaf(text, kept):
    """A listener that accepts nobody, its queue full: what comes is dropped."""
    family = socket.AF_INET6 if text.startswith("[") else socket.AF_INET
    s = socket.socket(family)
    s.bind(split(text))
    s.listen(0)
    kept.append(s)
    for _ in range(4):
        c = socket.socket(family)
        c.setblocking(False)
        c.connect_ex(split(text))
        kept.append(c)


def main():
    what, program = json.loads(sys.argv[1]), sys.argv[2:]
    kept = []
    enter()
    put_up_lo(what.get("addresses", []))
    put_file("/etc/hosts", what.get("hosts", ""))
    put_file("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    if what.get("names") is not None:
        serve_names(what["names"])
    for text in what.get("deaf", []):
        make_deaf(text, kept)
    if what.get("mute"):
        mute = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        mute.bind(("127.0.0.1", 53))
        mute.set_inheritable(True)
        os.execv(program[0], program)
    server = None
    if what.get("echo"):
        args = [what["server"], "--echo", *(a for at in what["echo"] for a in ("--listen", at))]
        server = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/")
        for _ in what["echo"]:
            server.stdout.readline()
    try:
        return subprocess.run(program).returncode
    finally:
        if server:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    sys.exit(main())
