"""The man pages and the completion of bash and zsh say what --help says, and work."""

import os
import pty
import re
import select
import subprocess
import time

import pytest

PROGRAMS = ("pixi-ws-client", "pixi-ws-server")
OPTION = re.compile(r"^  (?:-(\w), |    )--([\w-]+)(?: ([A-Z:=]+))?(?:  |$)", re.M)


def options_of(told):
    """{(letter, name, argument)} of a --help."""
    found = set(OPTION.findall(told))
    assert len(found) >= 1
    return found


@pytest.fixture(params=PROGRAMS)
def program(request):
    return request.param


@pytest.fixture
def helps(run, program):
    """{command: its --help}; "" is the program's own."""
    told = run([program, "--help"]).stdout
    names = re.findall(r"^  (\w+) +\S", told[: OPTION.search(told).start()], re.M)
    return {"": told, **{name: run([program, name, "--help"]).stdout for name in names}}


@pytest.fixture
def made(run, program, tmp_path):
    """made("man") -> a file of what the build makes."""

    def made(what):
        done = run([program, "--print", what])
        assert done.returncode == 0 and not done.stderr
        file = tmp_path / f"{what}.out"
        file.write_text(done.stdout)
        return file

    return made


def test_help_is_a_command_too(run, program, helps):
    for name, told in helps.items():
        done = run([program, "help", *name.split()])
        assert (done.returncode, done.stdout, done.stderr) == (0, told, "")
    done = run([program, "help", "keyy", "x"])
    assert done.returncode == 2 and 'unknown command "keyy"' in done.stderr


# --- man -----------------------------------------------------------------------------------------------------------


def test_mandoc_finds_nothing(made):
    page = made("man")
    done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", page], capture_output=True, text=True)
    faults = [line for line in done.stdout.splitlines() if "missing date" not in line]  # no release, no date
    assert not faults and not done.stderr


def test_man_says_what_help_says(made, helps, program):
    page = subprocess.run(
        ["mandoc", "-Tutf8", "-O", "width=200", made("man")], capture_output=True, text=True, check=True
    ).stdout
    page = re.sub(r".\x08", "", page)
    assert re.findall(r"^   (\w+)$", page, re.M) == [name for name in helps if name]
    starts = [page.index("\nOPTIONS\n"), *(page.index(f"\n   {name}\n") for name in helps if name), len(page)]
    for (name, told), start, end in zip(helps.items(), starts, starts[1:]):
        part = page[start:end]
        listed = re.findall(r"^     {2,}(?:-(\w), )?--([\w-]+)(?: ([A-Z:=]+))?(?: .*)?$", part, re.M)
        assert set(listed) == options_of(told), name
        for line in re.findall(rf"^  ({program} .*)$", told, re.M):
            assert line in part, line
    words = " ".join(page.split())
    for code, text in re.findall(r"(\d+(?:\+n)?) ([^,\n]+)", helps[""][helps[""].index("exit codes:") :]):
        assert re.search(rf"{re.escape(code)} {re.escape(text.strip())}", words), code


def test_what_else_is_printed(run, program):
    done = run([program, "--print", "html"])
    assert done.returncode == 2 and "man, bash or zsh" in done.stderr


# --- bash ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def bash(made, program, tmp_path):
    """bash("send", "--re") -> what bash would offer for the last word."""
    file = made("bash")
    (tmp_path / "a file").touch()
    (tmp_path / "folder").mkdir()

    def bash(*words):
        script = f"""source {file}
            COMP_WORDS=({program} "$@") COMP_CWORD=$#
            $(complete -p {program} | sed -E 's/.*-F ([^ ]+).*/\\1/')
            printf '%s\\n' "${{COMPREPLY[@]}}" """
        done = subprocess.run(
            ["bash", "--norc", "-u", "-c", script, "bash", *words], capture_output=True, text=True, cwd=tmp_path
        )
        assert not done.stderr, done.stderr
        return [line for line in done.stdout.splitlines() if line]

    return bash


def test_shellcheck(made):
    done = subprocess.run(["shellcheck", made("bash")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_bash_offers_what_help_says(bash, helps):
    commands = [name for name in helps if name]
    assert bash("") == commands
    for name, told in helps.items():
        given = bash(*([name, "--"] if name else ["--"]))
        assert set(given) == {f"--{option[1]}" for option in options_of(told)}, name
        assert bash(*([name] if name else []), given[0][:-1]) == [o for o in given if o.startswith(given[0][:-1])]


@pytest.mark.parametrize("program", ["pixi-ws-client"], indirect=True)
def test_bash_of_the_client(bash):
    assert bash("con") == ["connect", "config"]
    assert bash("--settings", "co") == [] and bash("--settings", "a") == ["a file"]
    assert bash("--settings", "x", "ver") == ["verify"] and bash("--url", "ws://h/", "-j", "li") == ["listen"]
    assert bash("--settings", "=", "a") == ["a file"]
    assert bash("config", "") == ["check", "show", "init"] and bash("config", "init", "f") == ["folder"]
    assert bash("--json", "config", "s") == ["show"]
    assert {"7", "1013", "-32003", "tls-expired", "ws-rsv"} <= set(bash("explain", "")) | set(bash("explain", "-3"))
    assert bash("send", "--file", "f") == ["folder"] and bash("send", "--expiry", "") == []
    assert bash("send", "") == []


@pytest.mark.parametrize("program", ["pixi-ws-server"], indirect=True)
def test_bash_of_the_server(bash):
    assert bash("--log", "") == ["error", "warning", "info", "debug"] and bash("--log", "w") == ["warning"]
    assert bash("key", "") == ["add", "list", "revoke"] and bash("key", "add", "x", "--pub") == ["--publish"]
    assert bash("config", "c") == ["check"] and bash("--keys", "f") == ["folder"]


# --- zsh -----------------------------------------------------------------------------------------------------------


class Zsh:
    """An interactive zsh on a terminal of its own, with the completion system."""

    def __init__(self, folder, program):
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "LANG": "C.UTF-8"}
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe("zsh", ["zsh", "-f", "-i"], env)
        self.program = program
        self.said = ""
        self.write(f"fpath=({folder}/functions $fpath); autoload -U compinit; compinit -u -d {folder}/dump; PS1=; ")
        self.write("unsetopt zle_bracketed_paste beep always_last_prompt; setopt no_list_ambiguous; ")
        # what would be offered, as plain lines, the words in them
        self.write("LISTMAX=0; COLUMNS=200; zstyle ':completion:*' list-prompt ''; echo rea'dy'\n")
        self.wait("\nready|\rready")

    def write(self, text):
        os.write(self.fd, text.encode())

    def wait(self, regex):
        """Reads on until this is there."""
        deadline = time.monotonic() + 20
        while not re.search(regex, self.said):
            ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no {regex!r} in {self.said!r}"
            self.said += os.read(self.fd, 65536).decode()
        return self.said

    def complete(self, words, regex):
        """Type the words and a tab; what regex finds in the answer."""
        self.said = ""
        self.write(f"{self.program} {words}\t")
        found = re.search(regex, self.wait(regex))
        self.write("\x15\necho nex't'\n")  # throw the line away
        self.wait(r"[\r\n]next[\r\n]")
        return found

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@pytest.fixture
def zsh(made, program, tmp_path):
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / f"_{program}").write_bytes(made("zsh").read_bytes())
    (tmp_path / "settings.json").touch()
    shell = Zsh(tmp_path, program)
    yield shell
    shell.close()


def test_zsh_loads_it(made):
    assert subprocess.run(["zsh", "-n", made("zsh")], capture_output=True).returncode == 0


def test_zsh_offers_the_commands(zsh, helps):
    for name in helps:
        if name:
            zsh.complete(name[:-1] if name != "connect" else "conn", rf"{name} ")


def test_zsh_offers_the_options(zsh, helps):
    for name, told in helps.items():
        for _, option, argument in options_of(told):
            if not any(o != option and o.startswith(option[:-1]) for _, o, _ in options_of(told)):
                zsh.complete(f"{name} --{option[:-1]}", rf"--{option}\b")


@pytest.mark.parametrize("program", ["pixi-ws-client"], indirect=True)
def test_zsh_of_the_client(zsh):
    zsh.complete("--settings sett", r"settings\.json")
    zsh.complete("config sh", "show ")
    zsh.complete("--url ws://h/ config che", "check ")
    zsh.complete("explain tls-exp", "tls-expired ")


@pytest.mark.parametrize("program", ["pixi-ws-server"], indirect=True)
def test_zsh_of_the_server(zsh):
    zsh.complete("--log deb", "debug ")
    zsh.complete("key rev", "revoke ")
