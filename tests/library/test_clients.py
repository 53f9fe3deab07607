"""The clients that the bindings bring, bin/pixi-ws-client.py and examples/rust/pixi-ws-client.rs: they do the same."""

import pytest


@pytest.fixture(params=["build/bin/pixi-ws-client-rust", "bin/pixi-ws-client.py"], ids=["rust", "python"])
def client(request, root):
    return root / request.param


def test_it_goes_on_when_the_server_is_killed_and_comes_back(spawn, run, hub, place, client):
    server = hub()
    file = place(server)
    listener = spawn([client, "-s", file, "--listen", "event/#", "event/mine"])
    listener.wait_line("connected", stream="err")
    listener.write("before\n")
    listener.wait_line("^event/mine before$", stream="out")
    server.proc.kill()
    listener.wait_line("the connection is lost, connecting again", stream="err")
    listener.write("meanwhile\n")
    hub(port=server.port)
    listener.wait_line("^event/mine meanwhile$", stream="out")
    assert run(["pixi-ws-client", "-s", file, "send", "event/other", "after"]).returncode == 0
    listener.wait_line("^event/other after$", stream="out")
    assert listener.stop() == 0
    assert listener.out.splitlines()[:2] == ["event/mine before", "event/mine meanwhile"]


@pytest.mark.parametrize(
    "case, code, said",
    [
        ("settings", 3, "the settings are wrong"),
        ("connect", 5, "the server cannot be reached"),
        ("key", 8, "the API key does not do"),
        ("usage", 2, "that cannot be asked for"),
        ("large", 21, "the message is too large"),
    ],
)
def test_each_family_is_called_by_its_name(run, hub, settings, free_port, client, case, code, said):
    server = hub()
    members = {"url": server.url, "api_key": server.key}
    if case == "settings":
        members["colour"] = "red"
    elif case == "connect":
        members["url"] = f"ws://127.0.0.1:{free_port()}/"
    elif case == "key":
        members["api_key"] = "pk_" + "x" * 43
    payload = "x" * 2_000_000 if case == "large" else None
    args = ["event/#" if case == "usage" else "event/x", *([] if payload else ["1"])]
    done = run([client, "-s", settings("client", **members), *args], input=payload)
    assert done.returncode == code, done
    assert said in done.stderr and "fix: " in done.stderr and "Traceback" not in done.stderr
