# SPDX-License-Identifier: BSD-2-Clause
"""examples/http: a kernel with lwIP that serves the files of its disk, as the machine that runs QEMU sees it."""

import contextlib
import hashlib
import http.client
import json
import socket
import struct
import threading
import time

from lumen import bench, examples, network
from lumen.status import number_from_environment

KEPT = number_from_environment("HTTP_KEPT", 400)  # requests on one connection
SINGLE = number_from_environment("HTTP_SINGLE", 60)  # each on one of its own
AT_ONCE = 24  # connections
TEXT_MAX = 160 << 10  # with lwIP, and all that both link: what the README promises

SCRIPT = r"""
child=/run/lumen/child
fail() { echo "FAIL: $1"; tail -n 30 $child/console.log $child/log; exit 1; }
lumenctl create child --kernel /lumen/http --memory 64M --net lumen0 --disk /dev/lumen-disk0,ro || fail create
lumenctl start child || fail start
tries=0
until grep -q "Serving at http://@CHILD@/" $child/console.log 2>/dev/null; do
	[ $((tries += 1)) -le 300 ] && [ "$(cat $child/status)" = started ] || fail "it does not serve"
	usleep 200000
done
echo se''rving
read -r line
for cause in bad_message bad_headers bad_length bad_memory spoofed wire_refused; do
	[ "$(lumenctl stat child | sed -n "s/^net\.$cause //p")" = 0 ] || fail "$cause"
done
lumenctl stop child || fail stop
lumenctl wait child || fail "it ends badly"
cat $child/console.log
# Another kernel, by the same name: so its card has the same address.
lumenctl delete child || fail delete
lumenctl create child --kernel /lumen/echo --memory 32M --append "ip=@CHILD@" --net lumen0 || fail "create echo"
lumenctl start child || fail "start echo"
tries=0
until grep -q "Answering at @CHILD@" $child/console.log 2>/dev/null; do
	[ $((tries += 1)) -le 300 ] && [ "$(cat $child/status)" = started ] || fail "it does not answer"
	usleep 200000
done
echo ech''oing
read -r line
lumenctl kill child || fail kill
""".replace("@CHILD@", network.CHILD)


class _Server:
    """The child's server, from here."""

    def __init__(self, t, port):
        self.t = t
        self.port = port

    def connect(self):
        return http.client.HTTPConnection(network.LISTEN, self.port, timeout=60)

    def socket(self):
        return socket.create_connection((network.LISTEN, self.port), timeout=60)

    def get(self, path, method="GET", connection=None, **headers):
        """(status, headers, body)"""
        with contextlib.closing(self.connect()) if not connection else contextlib.nullcontext(connection) as used:
            used.request(method, path, headers=headers)
            answer = used.getresponse()
            return answer.status, answer.headers, answer.read()

    def stats(self):
        return json.loads(self.get("/stats")[2])

    def raw(self, request):
        """What comes until the other side closes."""
        with self.socket() as sock:
            sock.sendall(request)
            return b"".join(iter(lambda: sock.recv(65536), b""))

    def quiet(self):
        """The numbers when all connections but this one are over."""
        for _ in range(100):
            stats = self.stats()
            if stats["open"] == 1 and not stats["tcp_segments"]:  # these are of connections that are being closed
                return stats
            time.sleep(0.1)
        self.t.check(False, f"connections stay open: {stats}")


def _numbers():
    return "".join(f"{n:05}\n" for n in range(examples.WWW_NUMBERS)).encode()


def _pages(t, server):
    """Statuses, types, lengths; a directory; a file of many blocks; HEAD."""
    page = (examples.WWW / "index.html").read_bytes()
    for path, status, kind, body in (
            ("/", 200, "text/html; charset=utf-8", page),
            ("/index.html?x=1", 200, "text/html; charset=utf-8", page),
            ("/docs/", 200, "text/html; charset=utf-8", (examples.WWW / "docs/index.html").read_bytes()),
            ("/style%2ecss", 200, "text/css; charset=utf-8", (examples.WWW / "style.css").read_bytes()),
            ("/numbers.txt", 200, "text/plain; charset=utf-8", _numbers()),
            ("/docs", 301, "text/plain; charset=utf-8", b"Moved Permanently"),
            ("/lost+found/", 404, "text/plain; charset=utf-8", b"Not Found"),
            ("/nothing", 404, "text/plain; charset=utf-8", b"Not Found")):
        seen = server.get(path)
        t.equal((seen[0], seen[1]["Content-Type"]), (status, kind), path)
        t.equal(hashlib.md5(seen[2]).hexdigest(), hashlib.md5(body).hexdigest(), f"hash of {path}")
        head = server.get(path, "HEAD")
        t.equal((head[0], head[1]["Content-Length"], head[2]), (status, str(len(body)), b""), f"HEAD {path}")
    t.equal(server.get("/docs")[1]["Location"], "/docs/", "Location")


def _many(t, server):
    """Requests one after the other, on one connection and each on its own; the kernel's memory stays as it is."""
    wanted = (examples.WWW / "index.html").read_bytes()
    before = server.quiet()
    with contextlib.closing(server.connect()) as connection:
        for number in range(KEPT):
            t.equal(server.get("/", connection=connection)[::2], (200, wanted), f"request {number} of {KEPT}")
    between = server.quiet()
    for number in range(SINGLE):
        t.equal(server.get("/", Connection="close")[::2], (200, wanted), f"connection {number} of {SINGLE}")
    after = server.quiet()
    for name in ("pages_free", "heap_used", "pbufs", "tcp_segments", "pool_errors", "frames_lost", "frames_bad",
                 "cache_used", "aborted", "timeouts", "refused"):
        t.equal((between[name], after[name]), (before[name],) * 2, f"{name}, before and after")
    t.check(after["requests"] - before["requests"] >= KEPT + SINGLE, f"requests: {before} {after}")
    return after


def _at_once(t, server):
    """Many connections that read a long file at the same time, and two that do not read what comes."""
    seen, wanted = [], hashlib.md5(_numbers()).hexdigest()

    def read():
        seen.append(hashlib.md5(server.get("/numbers.txt")[2]).hexdigest())

    with server.socket() as lazy, server.socket() as lost:
        for sock in (lazy, lost):
            sock.sendall(b"GET /numbers.txt HTTP/1.0\r\n\r\n")
        readers = [threading.Thread(target=read) for _ in range(AT_ONCE)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        lost.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        rest = b"".join(iter(lambda: lazy.recv(65536), b""))
    t.equal(seen, [wanted] * AT_ONCE, "hashes")
    t.equal(hashlib.md5(rest.partition(b"\r\n\r\n")[2]).hexdigest(), wanted, "hash of what was read late")


def _pipelined(t, server):
    """Requests that come together, or a byte at a time, are answered in order."""
    requests = b"".join(b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in (b"style.css", b"none", b"docs/"))
    answers = server.raw(requests * 5 + b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    t.equal([answers.count(b"HTTP/1.1 " + status) for status in (b"200", b"404")], [11, 5], "answers in one go")
    with server.socket() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /none HTTP/1.0\r\n\r\n":
            sock.sendall(bytes([byte]))
        sock.shutdown(socket.SHUT_WR)
        t.check(sock.recv(100).startswith(b"HTTP/1.1 404"), "an answer after the end of the other side")


def _bad(t, server):
    """Each gets its status and the end of its connection; others go on."""
    with contextlib.closing(server.connect()) as other:
        for request, status in (
                (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400),
                (b"GET /\r\n\r\n", 400),
                (b"GET / HTTP/1.1\r\n\r\n", 400),
                (b"GET /%00 HTTP/1.0\r\n\r\n", 400),
                (b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
                (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100000, 413),
                (b"GET /" + b"a" * 1000 + b" HTTP/1.0\r\n\r\n", 414),
                (b"GET / HTTP/1.0\r\nA: " + b"a" * 100000, 431),
                (b"GET / HTTP/3.0\r\n\r\n", 505)):
            t.check(server.raw(request).startswith(b"HTTP/1.1 %d " % status), f"{request[:60]}: not {status}")
            t.equal(server.get("/docs/", connection=other)[0], 200, f"another connection after {request[:60]}")
        for part in (b"", b"GET / HT"):  # nobody answers half a request
            with server.socket() as sock:
                sock.sendall(part)
                sock.shutdown(socket.SHUT_WR)
                t.equal(sock.recv(100), b"", f"answer to {part}")
    # More connections than there are places: those that wait for nothing make room.
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(server.socket())
            time.sleep(0.01)  # QEMU's network takes them one at a time, and forgets who comes meanwhile
        t.equal(server.get("/")[0], 200, "with many connections that say nothing")


def _visit(t, server):
    began = time.monotonic()
    for part in (_pages, _pipelined, _bad, _at_once):
        part(t, server)
    stats = _many(t, server)
    t.note(f"{stats['requests']} requests, heap at most {stats['heap_max']} bytes, {time.monotonic() - began:.1f} s of visits")


def _datagrams(t, port):
    """What is sent to a published port of UDP's comes back from examples/echo; one that is lost is sent again."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((network.LISTEN, port))
        sock.settimeout(2)
        for length in (1, 100, 1472):
            datagram = bytes(n * length & 0xFF for n in range(length))
            for _ in range(15):
                sock.send(datagram)
                with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                    if sock.recv(2000) == datagram:
                        break
            else:
                t.check(False, f"a datagram of {length} bytes does not come back")


def test_server(t):
    """Pages by GET and HEAD, many at once, bad requests; many requests, and the kernel's memory stays as it is. Then
    datagrams, to another kernel. Each by a published port."""
    port, udp, wrong = network.free_port(), network.free_port(socket.SOCK_DGRAM), []

    def attempt(session, visit):
        try:
            visit()
        except Exception as error:  # the child is to end, whatever comes of it
            wrong.append(error)
        session.type("done\n")

    def prepare(session):
        session.when("serving", lambda session: attempt(session, lambda: _visit(t, _Server(t, port))))
        session.when("echoing", lambda session: attempt(session, lambda: _datagrams(t, udp)))

    disk = t.disk(t.copy_of(examples.pristine_disk("http"), "disk.img"), read_only=True)
    result = t.root(SCRIPT, session=prepare,
                    files={"http": examples.kernel("http"), "echo": examples.kernel("echo")}, memory=72, disks=[disk],
                    net=network.net("default"),
                    publish=[network.publish(f"{port}:80"), network.publish(f"{udp}:7/udp")],
                    timeout=300 + (KEPT + 3 * SINGLE) // 10)
    if wrong:
        raise wrong[0]
    t.equal(result.status, 0, "status of the script")
    for text in ("PASS: served", "PASS: said goodbye", "kernel: exit status 0"):
        t.contains(result.console, text)


def test_size(t):
    """The kernel is as small as the README says."""
    text = bench.text_and_rodata(examples.kernel("http"))
    t.check(0 < text <= TEXT_MAX, f"http has {text} bytes of text")
    t.note(f"{text} bytes of text and read-only data")
