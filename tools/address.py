"""The project's public address: one setting, ``public_address`` in ``_config.yml``, and all that follows from it.

Launch buttons, links and *report an erratum* are drawn by ``book_extension``, sentences by ``pages``. What stands in
committed files, the first cell of each notebook, ``CITATION.cff`` and ``pyproject.toml``, is brought into agreement by
``make format``. While the setting is empty, none of it is there.
"""

import re
from pathlib import Path
from urllib.parse import quote, urlencode

import yaml

BRANCH = "main"
FORM = re.compile(r"https://github\.com/[A-Za-z0-9-]+/[A-Za-z0-9._-]*[A-Za-z0-9_-]")
COLAB = "https://colab.research.google.com"
BINDER = "https://mybinder.org"
INSTALL_TAG = "install"


class AddressError(ValueError):
    """A setting that is no address; printed without a traceback."""


def checked(address: str) -> str:
    """The address as it is set, or nothing.

    Raises:
        AddressError: it is neither empty nor that of a repository on GitHub, which Colab and Binder open from.
    """
    if address and (not FORM.fullmatch(address) or address.endswith(".git")):
        raise AddressError(
            f"_config.yml: public_address is {address!r}; expected an address such as "
            "https://github.com/someone/course (no .git, no slash at its end), or nothing"
        )
    return address


def public_address(root: Path) -> str:
    """What ``_config.yml`` names; empty where it names none.

    Raises:
        AddressError: what it names is no address.
    """
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    return checked(config["sphinx"]["config"].get("public_address") or "")


def install_line(address: str) -> str:
    """The magic that installs the library, with what every notebook needs, in Colab and elsewhere."""
    return f'%pip install -q "teachlib[molecules] @ git+{address}"'


def rendered(address: str, page: str) -> str:
    """Where GitHub Pages shows a page of the book (``.github/workflows/publish.yml`` puts it there).

    Args:
        address: of the project.
        page: its path in the project, without a suffix.
    """
    owner, name = address.rsplit("/", 2)[1:]
    site = f"https://{owner.lower()}.github.io/"
    # A repository that is called like the site is the site.
    folder = "" if f"https://{name.lower()}/" == site else f"{name}/"
    return f"{site}{folder}{page}.html"


def install_cell(address: str, page: str) -> str:
    """The first code cell of a notebook that can be opened anywhere, where its own links lead nowhere."""
    return (
        f"# As a page, with links that work: {rendered(address, page)}\n"
        "# Where the library is missing, as in Colab, it comes from the project's public address.\n"
        "from importlib.util import find_spec\n\n"
        f'if find_spec("teachlib") is None:\n    {install_line(address)}'
    )


def erratum_link(address: str, page: str, title: str, version: str) -> str:
    """Where a reader reports what is wrong on a page: a new issue that names the page already.

    Args:
        address: of the project.
        page: its name, without a suffix.
        title: its heading.
        version: of the course.
    """
    body = f"Page: {page}\nVersion: {version}\n\nWhat is wrong, and how do you know?\n\n"
    return f"{address}/issues/new?{urlencode({'title': f'Erratum: {title}', 'body': body}, quote_via=quote)}"


def cited(text: str, address: str) -> str:
    """``CITATION.cff`` with the address, or without one."""
    bare = re.sub(r"^repository-code: .*\n", "", text, flags=re.MULTILINE)
    line = f'repository-code: "{address}"\n' if address else ""
    return re.sub(r"^version: .*\n", lambda found: found[0] + line, bare, flags=re.MULTILINE)


def packaged(text: str, address: str) -> str:
    """``pyproject.toml`` with the address among the package's, or without one."""
    bare = re.sub(r"^\[project\.urls\]\n(?:.+\n)+\n", "", text, flags=re.MULTILINE)
    changes = f"{address}/blob/{BRANCH}/CHANGELOG.md"
    table = f'[project.urls]\nRepository = "{address}"\nChangelog = "{changes}"\n\n' if address else ""
    return bare.replace("[project.scripts]\n", f"{table}[project.scripts]\n")


NAMING = {"CITATION.cff": cited, "pyproject.toml": packaged}


def disagreeing(root: Path) -> dict[Path, str]:
    """The files that do not say what the setting says, each with its text as it should be.

    Raises:
        AddressError: what is set is no address.
    """
    address = public_address(root)
    texts = {root / name: (root / name).read_text(encoding="utf-8") for name in NAMING}
    forms = {path: NAMING[path.name](text, address) for path, text in texts.items()}
    return {path: form for path, form in forms.items() if form != texts[path]}
