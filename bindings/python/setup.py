"""The wheel holds the shared library: PIXI_WS_LIBRARY, or what make has built. Everything made goes under build/."""

import os
import shutil
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py
from wheel.bdist_wheel import bdist_wheel

ROOT = Path(__file__).resolve().parent.parent.parent
MADE = ROOT / "build/python"
LIBRARY = Path(os.environ.get("PIXI_WS_LIBRARY") or ROOT / "build/lib/libpixiws.so.0")


class WithLibrary(build_py):
    def run(self):
        if not LIBRARY.exists():
            raise SystemExit(f"setup.py: {LIBRARY} is not there: run make first, or set PIXI_WS_LIBRARY")
        super().run()
        shutil.copy(LIBRARY, Path(self.build_lib) / "pixi_ws/libpixiws.so.0")


class Wheel(bdist_wheel):
    """For any Python of this platform."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


class Binary(Distribution):
    def has_ext_modules(self):
        return True


MADE.mkdir(parents=True, exist_ok=True)
setup(
    version=(ROOT / "VERSION").read_text().strip(),
    distclass=Binary,
    cmdclass={"build_py": WithLibrary, "bdist_wheel": Wheel},
    options={
        "build": {"build_base": str(MADE / "build")},
        "egg_info": {"egg_base": str(MADE)},
        "bdist_wheel": {"bdist_dir": str(MADE / "wheel")},
    },
)
