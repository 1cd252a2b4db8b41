"""Run notebooks for the book by papermill, several at once, and remember what came out.

Each notebook runs in a process of its own, ``python tools/notebooks.py JOB``, so that a stop from the keyboard, a
crash and one thread each stay its own affair. The memory, ``_build/cache``, is a convenience: it may be deleted at
any time, and a damaged entry counts as absent.
"""

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nbformat
from staging import BookError
from warm_kernels import warm_kernels

from teachlib import attached

# A notebook at laptop scale may take 6 GiB; most take far less.
GIBIBYTES_PER_NOTEBOOK = 4
SHOWN_LINES = 6
# Below paper scale no cell takes a tenth of this: one that does hangs.
CELL_SECONDS = 600
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


@dataclass(frozen=True)
class Job:
    """One notebook to run: its name in messages, its file, its working folder, where its output goes."""

    name: str
    source: str
    folder: str
    output: str
    scale: str


@dataclass(frozen=True)
class Outcome:
    """How a run ended: ``failure`` is empty, or says in words what went wrong."""

    seconds: float
    failure: str = ""


# ------------------------------------------------------------------------------------------- what a run depends on


def digest(parts: Iterable[tuple[str, bytes]]) -> str:
    """One hash for named contents; the lengths keep two neighbours from trading bytes."""
    total = hashlib.sha256()
    for name, content in parts:
        total.update(f"{name}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def files_below(*folders: Path) -> list[Path]:
    """Every file below the folders that a run can read, in a fixed order."""
    ignored = {"__pycache__", ".ipynb_checkpoints", "runs"}
    found = [(folder, path) for folder in folders for path in folder.rglob("*") if path.is_file()]
    return sorted(path for folder, path in found if not ignored & set(path.relative_to(folder).parts))


def environment_digest(root: Path, scale: str) -> str:
    """The hash of all that every notebook's output depends on: library with measured tables, lock, scale, Python.

    ``TEACHLIB_DATA`` is no part of it: below paper scale a notebook does not see the variable.
    """
    files = [*files_below(root / "src" / "teachlib"), root / "requirements.lock"]
    parts = [(path.relative_to(root).as_posix(), path.read_bytes()) for path in files]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return digest([*parts, ("scale", scale.encode()), ("python", version.encode())])


def notebook_digest(source: Path, environment: str) -> str:
    """The name of a notebook's output in the cache: its text, the files beside it, the environment."""
    beside = [path for path in files_below(source.parent) if path.suffix not in (".ipynb", ".md")]
    parts = [(path.relative_to(source.parent).as_posix(), path.read_bytes()) for path in [source, *beside]]
    return digest([*parts, ("environment", environment.encode())])


def read_cache(path: Path) -> bytes | None:
    """A finished notebook from the cache; ``None`` where there is none or it cannot be read."""
    try:
        content = path.read_bytes()
        nbformat.reads(content.decode(), as_version=4)
    except Exception:  # whatever is wrong with an entry, running the notebook again mends it
        return None
    return content


def write_cache(path: Path, content: bytes) -> None:
    """Put a finished notebook into the cache in one step, so that an interrupted build leaves no half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")  # one build at a time: book.py sees to it
    temporary.write_bytes(content)
    temporary.replace(path)


# ----------------------------------------------------------------------------------------------- inside the process


def cleaned(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Remove what differs from run to run without meaning: timings, paths, papermill's own notes and random ids."""
    notebook.metadata.pop("papermill", None)
    leave_out_foreign_widgets(notebook)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"
    return notebook


def leave_out_foreign_widgets(notebook: nbformat.NotebookNode) -> None:
    """Remove widgets whose program the book does not hold, such as a brush: a page would ask another host for it."""
    states = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    for name in [name for name, model in states.items() if not model["model_module"].startswith("@jupyter-widgets/")]:
        del states[name]
    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if shown_widget(output) in {"", *states}]


def shown_widget(output: nbformat.NotebookNode) -> str:
    """The name of the widget's model that an output shows, if any."""
    return str(output.get("data", {}).get("application/vnd.jupyter.widget-view+json", {}).get("model_id", ""))


def cell_number(path: Path, index: int) -> int:
    """The number, from 1, that cell ``index`` of a papermill output has in the author's notebook."""
    cells = nbformat.read(path, as_version=4).cells
    added = ("injected-parameters", "papermill-error-cell-tag")
    before = [cell for cell in cells[:index] if not set(added) & set(cell.metadata.get("tags", []))]
    return len(before) + 1


def failed_cell(path: Path) -> int:
    """The index of the first cell with an error among its outputs."""
    for index, cell in enumerate(nbformat.read(path, as_version=4).cells):
        if any(output.output_type == "error" for output in cell.get("outputs", [])):
            return index
    return 0


def first_lines(text: str, count: int = SHOWN_LINES) -> str:
    """The first lines of a cell, indented, with dots where more follow."""
    lines = text.strip().splitlines()
    shown = lines[:count] + (["…"] if len(lines) > count else [])
    return "\n".join(f"    {line}" for line in shown)


def refused(job: Job) -> str:
    """Why a notebook cannot be run at all, in a line, or nothing: it is none, or no cell of it takes the scale."""
    try:
        notebook = nbformat.read(job.source, as_version=4)
        nbformat.validate(notebook)
    except Exception as error:  # a damaged file ends its reader in whatever its bytes lead to
        return f"{job.name}: not a sound notebook ({type(error).__name__}); restore or repair it"
    if sum("parameters" in cell.metadata.get("tags", []) for cell in notebook.cells) != 1:
        return f"{job.name}: exactly one cell needs the tag 'parameters', to take the scale"
    return ""


def execute(job: Job) -> str:
    """Run one notebook into its output file; returns the failure in words, or nothing."""
    import logging

    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    output = Path(job.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    if reason := refused(job):
        return reason
    try:
        papermill.execute_notebook(
            job.source,
            job.output,
            parameters={"scale": job.scale},
            kernel_name="python3",
            language="python",
            cwd=job.folder,
            progress_bar=False,
            execution_timeout=None if job.scale == "paper" else CELL_SECONDS,
        )
    except papermill.PapermillExecutionError as error:
        number = cell_number(output, failed_cell(output))
        message = "\n".join(f"  {line}" for line in f"{error.ename}: {error.evalue}".splitlines())
        return f"{job.name}: cell {number} fails at scale {job.scale}\n{first_lines(error.source)}\n{message}"
    except Exception as error:  # a kernel that died or would not start; the cause is in the text
        return f"{job.name}: could not be run at scale {job.scale}: {type(error).__name__}: {error}"
    nbformat.write(cleaned(nbformat.read(output, as_version=4)), output)
    return ""


# ---------------------------------------------------------------------------------------------- outside the process


def kernel_environment(scale: str, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a notebook's process: one thread, our own kernel, no data that another machine lacks."""
    environment = {
        **inherited,
        **ONE_THREAD,
        "TEACHLIB_SCALE": scale,
        # A kernel called python3 in the user's own folder may belong to another Python.
        "JUPYTER_PREFER_ENV_PATH": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONHASHSEED": "0",
    }
    if scale != "paper":
        environment.pop("TEACHLIB_DATA", None)
    return environment


def run(job: Job, environment: Mapping[str, str]) -> Outcome:
    """Run one notebook in a process of its own, with this environment."""
    start = time.monotonic()
    process = attached.run(str(Path(__file__).resolve()), json.dumps(asdict(job)), environment=environment)
    seconds = time.monotonic() - start
    try:
        failure = json.loads(process.stdout.splitlines()[-1])["failure"]
    except (IndexError, ValueError, KeyError):
        failure = f"{job.name}: its process ended with code {process.returncode}\n{process.stderr.strip()}"
    return Outcome(seconds, failure)


def workers() -> int:
    """How many notebooks to run at once: one a core, as far as the memory goes."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return max(1, min(os.cpu_count() or 1, int(memory / GIBIBYTES_PER_NOTEBOOK)))


def run_all(jobs: Mapping[Path, Job], environment: Mapping[str, str], at_once: int) -> None:
    """Run the jobs, several at a time, and put each result into the cache under its path.

    Args:
        jobs: each by the path of its result.
        environment: of every notebook's process.

    Raises:
        BookError: a notebook failed; those already running were finished, none was started after it.
    """
    stop = threading.Event()

    def run_unless_stopped(job: Job) -> Outcome | None:
        outcome = None if stop.is_set() else run(job, environment)
        if outcome and outcome.failure:
            stop.set()
        return outcome

    failures: list[str] = []
    with ThreadPoolExecutor(at_once) as pool:
        running = {pool.submit(run_unless_stopped, job): (path, job) for path, job in jobs.items()}
        try:
            for future in as_completed(running):
                if outcome := future.result():
                    failures.append(finish(*running[future], outcome))
        finally:
            stop.set()  # a stop from the keyboard lands here: what waits must not start
    if any(failures):
        raise BookError("\n\n".join(filter(None, failures)))


def finish(cached: Path, job: Job, outcome: Outcome) -> str:
    """Report one run and put its output into the cache, or say in words why it failed."""
    print(f"  {job.name}  {'FAILED after' if outcome.failure else 'ran in'} {outcome.seconds:.0f} s", flush=True)
    if outcome.failure:
        return f"{outcome.failure}\n  partial outputs: {os.path.relpath(job.output)}"
    write_cache(cached, Path(job.output).read_bytes())
    Path(job.output).unlink()
    return ""


def executed(
    sources: Mapping[str, Path], *, root: Path, src: Path, build: Path, scale: str, at_once: int | None = None
) -> tuple[dict[str, bytes], int]:
    """The named notebooks with their outputs, run where the cache has none.

    Args:
        sources: the notebooks' files, by their names relative to the root.
        root: the project, whose library the notebooks use.
        src: the staged sources; a notebook runs in its own folder there.
        build: holds the cache and, after a failure, the partial outputs.
        scale: ``ci``, ``laptop`` or ``paper``.
        at_once: how many run at a time; by default as many as the machine can hold.

    Returns:
        The notebooks' contents by name, and how many came from the cache.

    Raises:
        BookError: a notebook failed.
    """
    common = environment_digest(root, scale)
    cache = {name: build / "cache" / f"{notebook_digest(path, common)}.ipynb" for name, path in sources.items()}
    ready = {name: content for name, path in cache.items() if (content := read_cache(path)) is not None}
    jobs = {}
    # The longest first, by their text: one that started last would keep all others waiting.
    for name in sorted(sources.keys() - ready, key=lambda name: (-sources[name].stat().st_size, name)):
        folder = (src / name).parent
        folder.mkdir(parents=True, exist_ok=True)
        jobs[cache[name]] = Job(name, str(sources[name]), str(folder), str(build / "failed" / name), scale)
    for name in ready:
        print(f"  {name}  from the cache", flush=True)
    plain = kernel_environment(scale)
    with warm_kernels(plain) if len(jobs) > 1 else nullcontext(plain) as environment:  # one alone gains nothing
        run_all(jobs, environment, at_once or workers())
    return {name: path.read_bytes() for name, path in cache.items()}, len(ready)


def main() -> None:
    """Run the one job given as JSON and print the outcome as JSON."""
    attached.end_with_parent()  # else it would go on and write where the next build writes
    job = Job(**json.loads(sys.argv[1]))
    result: dict[str, Any] = {"failure": execute(job)}
    print(json.dumps(result))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
