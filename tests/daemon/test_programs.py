"""Programs that use the daemon through the library and the command line."""

import json
import os

import pytest
from rpc import Rpc


@pytest.fixture
def by_daemon(settings):
    """by_daemon(machine) -> settings of a program that knows the daemon's socket and nothing else."""

    def by_daemon(machine):
        return settings("program", url=f"unix:{machine.socket}", reconnect__initial_ms=5, reconnect__max_ms=50)

    return by_daemon


def test_the_command_line_goes_by_the_daemon_where_one_runs(hub, daemon, stored, free_port):
    machine = daemon(f"ws://127.0.0.1:{free_port()}/api/v1")
    done = machine.client("--verbose", "--json", "send", "event/a", "1")
    assert done.returncode == 0 and f"by the daemon at {machine.socket}" in done.stderr
    assert json.loads(done.stdout)["queued"]
    done = machine.client("-v", "send", "--direct", "event/a", "2")
    assert done.returncode == 5 and "directly to 127.0.0.1" in done.stderr
    assert machine.client("send", "event/a", "-", input="2\n3\n").returncode == 0
    assert machine.status()["outbox"]["messages"] == 3
    machine.proc.stop()
    assert machine.client("-v", "send", "event/a", "4").returncode == 5


def test_requests_and_listening_by_the_command_line(hub, daemon, spawn):
    machine = daemon(hub())
    responder = spawn(["pixi-ws-client", "--settings", machine.file, "listen", "request/#", "--reply", '"yes"'])
    responder.wait_line("listening to", stream="err")
    done = machine.client("request", "request/a", "1")
    assert (done.returncode, done.stdout) == (0, '"yes"\n')
    done = machine.client("request", "other/a", "1")
    assert done.returncode == 12


def test_outbox_full_is_exit_code_13(daemon, free_port):
    machine = daemon(f"ws://127.0.0.1:{free_port()}/api/v1", outbox__bytes=65536)
    done = machine.client("send", "event/a", "-", input=f'"{"x" * 10000}"\n' * 10)
    assert done.returncode == 13, done
    assert "outbox is full" in done.stderr and "fix: see with `pixi-ws-client status`" in done.stderr
    done = machine.client("--json", "send", "event/a", '"' + "x" * 10000 + '"')
    assert (done.returncode, json.loads(done.stderr)["exit"]) == (13, 13)


def test_a_listener_hears_of_gaps(hub, daemon, spawn, free_port):
    port = free_port()
    server = hub(port=port)
    machine = daemon(server)
    listener = spawn(["pixi-ws-client", "--settings", machine.file, "listen", "event/#"])
    listener.wait_line("listening to", stream="err")
    assert machine.client("send", "event/a", "1").returncode == 0
    listener.wait_line('"payload":1', stream="out")
    server.proc.kill()
    server = hub(port=port)
    listener.wait_line("history lost", stream="err")
    assert machine.client("send", "event/a", "2").returncode == 0
    listener.wait_line('"payload":2', stream="out")


PROGRAMS = {
    "rust": ["build/bin/pixi-ws-client-rust"],
    "python": ["/usr/bin/python3", "bin/pixi-ws-client.py"],
}


@pytest.mark.parametrize("language", PROGRAMS)
def test_the_bindings_clients(hub, daemon, by_daemon, spawn, run, root, language, stored):
    """They hear and send through the socket; what they sent is at the server once, over a kill of the daemon."""
    server = hub()
    machine = daemon(server)
    first, *rest = PROGRAMS[language]
    client = [first if first.startswith("/") else root / first, *(root / r for r in rest)]
    listener = spawn([*client, "-s", by_daemon(machine), "--listen", "event/#", "event/mine"])
    listener.wait_line("connected", stream="err")
    listener.write("before\n")
    listener.wait_line("^event/mine before$", stream="out")
    machine.kill()
    listener.wait_line("the connection is lost, connecting again", stream="err")
    listener.write("meanwhile\n")
    machine.start()
    listener.wait_line("^event/mine meanwhile$", stream="out")
    with Rpc(server) as other:
        other.call("publish", topic="event/other", payload="after")
    listener.wait_line('^event/other "?after"?$', stream="out")
    assert listener.stop() == 0
    assert len(stored(server, "event/mine")) == 2


C_PROGRAM = r"""
#include <pixiws/pixiws.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct pixi_error e;
    struct pixi_client *c = pixi_client_new_from_file(argv[argc - 1], &e);
    struct pixi_message *m = NULL;
    char text[16];

    if (!c || pixi_client_connect(c, 20000, &e) || pixi_client_subscribe(c, "event/#", 0, &e))
        return fprintf(stderr, "%s\n", e.cause), 1;
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "%d", i);
        if (pixi_client_send_message(c, "event/a", text, strlen(text), NULL, &e))
            return fprintf(stderr, "%s\n", e.cause), 2;
    }
    for (int i = 0; i < 100; i++) {
        if (pixi_client_recv(c, 20000, &m, &e))
            return fprintf(stderr, "%s\n", e.cause), 3;
        printf("%.*s\n", (int)m->payload_len, (const char *)m->payload);
        pixi_message_free(m);
    }
    return pixi_client_close(c, 1000, NULL, 5000, &e);
}
"""


def test_a_program_in_c(hub, daemon, by_daemon, run, root, tmp_path):
    source, out = tmp_path / "program.c", tmp_path / "program"
    source.write_text(C_PROGRAM)
    built = run(["gcc", "-Wall", "-I", root / "include", "-o", out, source, root / "build/lib/libpixiws.so.0",
                 f"-Wl,-rpath,{root}/build/lib"])
    assert built.returncode == 0, built.stderr
    machine = daemon(hub())
    done = run([out, by_daemon(machine)])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(i) for i in range(100)]


def test_no_daemon_is_told(run, settings, tmp_path):
    file = settings("program", url=f"unix:{tmp_path}/none.sock")
    done = run(["pixi-ws-client", "--settings", file, "send", "--direct", "a", "1"])
    assert done.returncode == 5
    assert f"daemon: no daemon at {tmp_path}/none.sock: No such file" in done.stderr and "fix: start it" in done.stderr
    assert not os.path.exists(f"{tmp_path}/none.sock")


def test_status_needs_neither_url_nor_key(hub, daemon, settings, run, tmp_path):
    """It goes by the socket alone, as somebody does who may not read the key."""
    machine = daemon(hub())
    file = settings("status", daemon__socket=str(machine.socket), api_key_file=str(tmp_path / "none"))
    assert run(["pixi-ws-client", "--settings", file, "status"]).stdout.startswith("link ")
    absent = settings("absent", daemon__socket=str(tmp_path / "none.sock"))
    done = run(["pixi-ws-client", "--settings", absent, "status"])
    assert done.returncode == 5 and f"no daemon at {tmp_path}/none.sock" in done.stderr
    wrong = settings("wrong", daemon__socket="x")
    done = run(["pixi-ws-client", "--settings", wrong, "status"])
    assert done.returncode == 3 and "daemon.socket: " in done.stderr
