"""Names and addresses, on a machine made for the purpose: /etc/hosts, DNS, RFC 8305, and what is said when all fail."""

import json
import subprocess

import pytest

import world


@pytest.fixture(scope="session")
def may_make_worlds():
    """In a process of its own: this one stays where it is."""
    done = subprocess.run(["/usr/bin/python3", world.__file__, "{}", "true"], capture_output=True, timeout=60)
    if done.returncode:
        pytest.skip("no namespaces may be made here")


@pytest.fixture
def pixi(run, bin_dir, tmp_path, may_make_worlds):
    """pixi(world, *args) -> the finished pixi-ws-client in there."""

    def pixi(what, *args, **variables):
        what = {"names": {}, "server": str(bin_dir / "pixi-ws-server"), **what}
        env = {f"PIXI_WS_{name}": str(value) for name, value in variables.items()}
        program = ["/usr/bin/python3", world.__file__, json.dumps(what), bin_dir / "pixi-ws-client", *args]
        return run(program, cwd=tmp_path, env=env)

    return pixi


def rows(done):
    report = json.loads(done.stdout)
    assert report["exit"] == done.returncode
    return {row["id"]: row for row in report["checks"]}


def fails(pixi, what, url, exit_code, layer, **variables):
    """Every command says the same; the cause."""
    for args in (["send", "a", "1"], ["connect"]):
        done = pixi(what, "--json", "--url", url, *args, **variables)
        told = json.loads(done.stderr)
        assert (done.returncode, told["exit"], told["layer"]) == (exit_code, exit_code, layer), done
        assert told["fix"]
    done = pixi(what, "--json", "verify", "--quick", url, **variables)
    row = next(row for row in rows(done).values() if row["verdict"] == "failed")
    assert (done.returncode, row["layer"]) == (exit_code, layer) and row["fix"], row
    return told["cause"], row["cause"]


def test_etc_hosts(pixi):
    """Before DNS, which says otherwise here; and without any name server at all."""
    what = {"hosts": "127.0.0.1 other\n127.0.0.7 pixi.test alias\n", "echo": ["127.0.0.7:8768"]}
    for names in ({"pixi.test": ["127.0.0.8"]}, None):
        for name in ("pixi.test", "PIXI.test", "alias"):
            done = pixi({**what, "names": names}, "--json", "verify", "--quick", f"ws://{name}:8768/")
            assert done.returncode == 0, done
            assert rows(done)["name"]["measured"] == "127.0.0.7:8768"


def test_dns(pixi):
    what = {"names": {"pixi.test": ["::1", "127.0.0.1"]}, "echo": ["[::1]:8768"]}
    done = pixi(what, "--json", "verify", "--quick", "ws://pixi.test:8768/")
    assert done.returncode == 0 and rows(done)["name"]["measured"] == "[::1]:8768 and 1 more", done


@pytest.mark.parametrize("url", ["ws://localhost:8768/", "ws://any.localhost:8768/"])
def test_localhost_needs_nobody(pixi, url):
    what = {"names": None, "echo": ["127.0.0.1:8768"]}
    done = pixi(what, "verify", "--quick", url)
    assert done.returncode == 0, done


def test_the_other_family_when_one_is_refused(pixi):
    what = {"names": {"pixi.test": ["::1", "127.0.0.1"]}, "echo": ["127.0.0.1:8768"]}
    for args in (["verify", "--quick"], ["connect"]):
        assert pixi(what, *args, "ws://pixi.test:8768/").returncode == 0


def test_the_other_family_when_one_is_silent(pixi):
    """RFC 8305: whoever waited for the first to fail would see the deadline, which is the end of it all."""
    what = {"names": {"pixi.test": ["::1", "127.0.0.1"]}, "deaf": ["[::1]:8768"], "echo": ["127.0.0.1:8768"]}
    for args in (["verify", "--quick"], ["connect"]):
        done = pixi(what, *args, "ws://pixi.test:8768/", TIMEOUTS_CONNECT_MS=15000)
        assert done.returncode == 0, done


def test_each_address_says_why(pixi):
    what = {
        "names": {"pixi.test": ["::1", "fd00::7", "2001:db8::1", "127.0.0.1", "127.0.0.2"]},
        "addresses": ["fd00::7"],
        "deaf": ["127.0.0.2:8768"],
    }
    causes = fails(pixi, what, "ws://pixi.test:8768/", 5, "tcp", TIMEOUTS_CONNECT_MS=1500)
    for cause in causes:
        for refused in ("[::1]", "[fd00::7]", "127.0.0.1"):
            assert f"{refused}:8768: Connection refused" in cause
        assert "[2001:db8::1]:8768: Network is unreachable" in cause
        assert "127.0.0.2:8768: no answer in " in cause


def test_nobody_answers(pixi):
    what = {"names": {"pixi.test": ["127.0.0.2"]}, "deaf": ["127.0.0.2:8768"]}
    causes = fails(pixi, what, "ws://pixi.test:8768/", 5, "tcp", TIMEOUTS_CONNECT_MS=300)
    assert all("127.0.0.2:8768: no answer in " in cause for cause in causes)


# What DNS has for the name: the words of the cause.
NO_ADDRESS = {
    "no such name": (3, "pixi.test: no such name"),
    "SERVFAIL": (2, "pixi.test: the name server failed (SERVFAIL)"),
    "REFUSED": (5, "pixi.test: the name server refused to answer (REFUSED)"),
    "no address": ([], "pixi.test: the name has no address"),
    "no name server": (None, "pixi.test: no name server can be reached; /etc/resolv.conf says where they are"),
}


@pytest.mark.parametrize("case", NO_ADDRESS)
def test_names_without_an_address(pixi, case):
    known, says = NO_ADDRESS[case]
    what = {"names": None if known is None else {"pixi.test": known}}
    causes = fails(pixi, what, "ws://pixi.test:8768/", 4, "name", TIMEOUTS_CONNECT_MS=10000)
    assert all(says in cause for cause in causes), causes


@pytest.mark.parametrize("args", [["send", "a", "1"], ["request", "a"], ["listen", "#"], ["connect"], ["verify"]])
def test_ctrl_c_while_a_name_is_looked_up(terminal, bin_dir, may_make_worlds, args):
    """The name server says nothing: that is told after a second, and Ctrl-C ends it at once."""
    made = ["/usr/bin/python3", world.__file__, '{"mute": true}', bin_dir / "pixi-ws-client"]
    env = {"PIXI_WS_URL": "ws://pixi.test:8768/", "PIXI_WS_TIMEOUTS_CONNECT_MS": "60000"}
    t = terminal([*made, *args], **env)
    t.wait(r"(looking up pixi\.test|name: the host has an address\?) … 1 s of 60")
    t.write("\x03")
    assert t.end() == (0 if args[0] == "listen" else 130) and "fix:" not in t.said, t.said
    assert not any(" s of " in line for line in t.lines())


def test_a_machine_without_a_network(pixi):
    causes = fails(pixi, {}, "ws://192.0.2.1:8768/", 5, "tcp")
    assert all("192.0.2.1:8768: Network is unreachable" in cause for cause in causes)
    for args in (["send", "a", "1"], ["verify"]):
        done = pixi({}, "--url", "ws://192.0.2.1:8768/", *args)
        assert "this machine has a network" in " ".join((done.stdout + done.stderr).split()), done
