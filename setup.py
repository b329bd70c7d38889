"""Packaging: everything is read from settings.ini."""

from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser(delimiters=["="])
config.read(here / "settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]
library = cfg["lib_name"]


def lines(key: str) -> list[str]:
    return [line.strip() for line in cfg.get(key, "").splitlines() if line.strip()]


readme = here / "README.md"
setup(
    name=library,
    version=cfg["version"],
    description=cfg["description"],
    long_description=readme.read_text(encoding="utf-8") if readme.exists() else "",
    long_description_content_type="text/markdown",
    author=cfg["author"],
    license=cfg["license"],
    keywords=cfg["keywords"],
    python_requires=f">={cfg['min_python']}",
    packages=find_packages(include=[library, f"{library}.*"]),
    package_data={
        library: ["py.typed", "agents.tsv", "*/*.j2", "demo/*.tsv", "sample/*", "pretrained/*/*", "pretrained/*/*/*"],
    },
    install_requires=lines("requirements"),
    extras_require={name: lines(f"{name}_requirements") for name in cfg["extras"].split()},
    entry_points={
        "console_scripts": [cfg["console_scripts"]],
        "nbdev": [f"{library}={library}._modidx:d"],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Bio-Informatics",
        "Typing :: Typed",
    ],
)
