"""tools/embed-web: the files of a built page, as C."""

import subprocess

import pytest

MAIN = """
#include "pixi-ws-server/web.h"
#include <stdio.h>
int main(void)
{
    for (size_t i = 0; i < web_file_count; i++) {
        printf("%s %zu\\n", web_files[i].path, (size_t)(web_files[i].end - web_files[i].bytes));
        fwrite(web_files[i].bytes, 1, (size_t)(web_files[i].end - web_files[i].bytes), stdout);
    }
    return 0;
}
"""


@pytest.fixture
def embed(root, tmp_path):
    """embed(folder) -> the finished process."""

    def embed(folder):
        return subprocess.run([root / "tools/embed-web", folder], capture_output=True, encoding="utf-8", cwd=tmp_path)

    return embed


def test_every_byte_is_there(root, tmp_path, embed):
    files = {"assets/a-1.js": bytes(range(256)) * 300, "empty.txt": b"", "index.html": b"<p>\n", "index.html.gz": b"z"}
    for name, content in files.items():
        (tmp_path / "dist" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "dist" / name).write_bytes(content)
    (tmp_path / "dist/.hidden").write_text("x")
    done = embed("dist")
    assert done.returncode == 0, done
    (tmp_path / "web.c").write_text(done.stdout)
    (tmp_path / "main.c").write_text(MAIN)
    flags = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-std=c17", f"-I{root}/src", f"-I{root}/apps"]
    subprocess.run(["gcc", *flags, "-o", "web", "web.c", "main.c"], check=True, cwd=tmp_path)
    out = subprocess.run([tmp_path / "web"], check=True, capture_output=True).stdout
    assert out == b"".join(f"/{name} {len(content)}\n".encode() + content for name, content in files.items())


def test_another_content_is_another_text(tmp_path, embed):
    (tmp_path / "dist").mkdir()
    file = tmp_path / "dist/index.html"
    texts = []
    for content in ("a", "b", "a"):
        file.write_text(content)
        texts.append(embed("dist").stdout)
    assert texts[0] == texts[2] != texts[1]


def test_what_is_no_page(tmp_path, embed):
    done = embed("missing")
    assert done.returncode == 0 and "web_file_count = 0;" in done.stdout
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/a.js").write_text("")
    done = embed("dist")
    assert done.returncode == 1 and "no index.html" in done.stderr
    (tmp_path / 'dist/a"b.js').write_text("")
    done = embed("dist")
    assert done.returncode == 1 and "names of letters" in done.stderr and 'a"b.js' in done.stderr
