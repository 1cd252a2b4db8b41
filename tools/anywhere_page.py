"""What the pages say of other people's machines: how a notebook is opened there, and what changed since when."""

from importlib.metadata import version
from pathlib import Path

from address import install_line, public_address

ROOT = Path(__file__).resolve().parent.parent

PUBLIC = """The rocket at the top of a notebook's page opens it in Colab, or in Binder. There its first cell
installs the library, and keeps Colab's own PyTorch:

```python
{install}
```

Binder builds what `environment.yml` names, which takes long the first time; it has not been tried yet."""

PRIVATE = """Open a notebook in Colab by *File → Upload notebook*. Build the library by `make dist`, upload what then
lies in `dist` besides, and install it in a new first cell. That keeps Colab's own PyTorch.

```python
%pip install -q "./teachlib-{version}-py3-none-any.whl[molecules]"
```

Where your copy of the course is public, name its address in `_config.yml`, as `public_address`, and run `make format`:
each notebook then installs the library by itself, and its page has a button for Colab."""


def colab(root: Path = ROOT) -> str:
    """How a notebook gets into Colab, with the project's public address or without one."""
    address = public_address(root)
    return PUBLIC.format(install=install_line(address)) if address else PRIVATE.format(version=version("teachlib"))


def changelog(root: Path = ROOT) -> str:
    """The changelog below its heading."""
    return (root / "CHANGELOG.md").read_text(encoding="utf-8").partition("\n")[2].strip()


def torchrun(root: Path = ROOT) -> str:
    """The example for ``torchrun``, as it is tested."""
    return _script("torchrun.sh", root)


def slurm(root: Path = ROOT) -> str:
    """The example for SLURM, as it is tested."""
    return _script("slurm.sh", root)


def _script(name: str, root: Path) -> str:
    text = (root / "examples" / name).read_text(encoding="utf-8").rstrip()
    return f"```bash\n{text}\n```"
