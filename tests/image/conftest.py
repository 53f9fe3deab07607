"""describe(text, **files) -> the path of a description in a folder of its own, with files beside it."""

import textwrap

import pytest


@pytest.fixture
def describe(tmp_path):
    folder = tmp_path / "config"
    folder.mkdir()

    def describe(text, **files):
        for name, content in files.items():
            (folder / name.replace("__", ".")).write_text(content)
        path = folder / "image.yaml"
        path.write_text(textwrap.dedent(text))
        return path

    return describe
