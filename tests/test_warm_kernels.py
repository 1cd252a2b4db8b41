"""Forked kernels: ready at once, in the asker's folder and environment, gone with whoever asked."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager

TOOLS = Path(__file__).resolve().parents[1] / "tools"
sys.path.insert(0, str(TOOLS))

from warm_kernels import warm_kernels  # noqa: E402

PATIENCE = 400  # seconds, against hanging alone: on a busy machine a kernel can take minutes to answer
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux alone")


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    with warm_kernels({**os.environ, "JUPYTER_PREFER_ENV_PATH": "1"}) as warm:
        yield warm


@pytest.fixture
def kernel(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[KernelManager]:
    monkeypatch.setenv("JUPYTER_PATH", environment["JUPYTER_PATH"])
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(tmp_path), env={**environment, "GREETING": "hello"})
    yield manager
    manager.shutdown_kernel(now=True)


def printed(manager: KernelManager, code: str) -> str:
    """What the code prints in the kernel."""
    texts: list[str] = []
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=PATIENCE)
    client.execute_interactive(
        code, timeout=PATIENCE, output_hook=lambda message: texts.append(message["content"].get("text", ""))
    )
    client.stop_channels()
    return "".join(texts)


def alive(process: int) -> bool:
    """Whether the process still runs; one that has ended and was not yet waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_kernel_has_its_own_process_the_folder_and_the_environment(kernel: KernelManager, tmp_path: Path) -> None:
    found = printed(kernel, "import os, sys\nprint(os.getcwd(), os.environ['GREETING'], 'torch' in sys.modules)")
    assert found == f"{tmp_path} hello True\n"
    assert printed(kernel, "print('tools' in ' '.join(sys.path))") == "False\n"


def test_a_kernel_ends_with_the_process_that_asked_for_it(kernel: KernelManager) -> None:
    process = int(printed(kernel, "import os; print(os.getpid())"))
    asker = kernel.provisioner.pid
    assert process != asker
    os.kill(asker, signal.SIGKILL)
    until = time.monotonic() + 10
    while alive(process) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(process)


def test_a_cell_can_be_interrupted(kernel: KernelManager) -> None:
    client = kernel.client()
    client.start_channels()
    client.wait_for_ready(timeout=PATIENCE)
    client.kernel_info()  # as wait_for_ready asks more than once where a kernel is slow to answer
    asked = client.execute("import time; print('begun'); time.sleep(500)")
    while client.get_iopub_msg(timeout=PATIENCE)["content"].get("text") != "begun\n":
        pass
    kernel.interrupt_kernel()
    while (reply := client.get_shell_msg(timeout=PATIENCE))["parent_header"]["msg_id"] != asked:
        pass
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    client.stop_channels()


def test_after_the_server_kernels_start_in_the_usual_way(environment: dict[str, str], tmp_path: Path) -> None:
    with warm_kernels(environment) as ended:
        specification = (Path(ended["JUPYTER_PATH"]) / "kernels" / "python3" / "kernel.json").read_text()
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(specification)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(tmp_path))
        manager = KernelManager(kernel_name="python3")
        manager.start_kernel()
        assert printed(manager, "import sys; print('torch' in sys.modules)") == "False\n"
        manager.shutdown_kernel(now=True)


def test_whoever_is_told_of_the_server_finds_it_listening() -> None:
    with warm_kernels({**os.environ}) as environment:
        spec = json.loads(Path(environment["JUPYTER_PATH"], "kernels", "python3", "kernel.json").read_text())
        address = next(word for word in spec["argv"] if word.endswith("/socket"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
            asking.connect(address)  # while the server has not even started Python


def test_a_server_whose_build_was_killed_imports_no_further(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    code = (
        "import socket, sys, warm_kernels\nlistener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "listener.bind('socket')\nlistener.listen()\nwarm_kernels.serve(str(listener.fileno()), 'folder')\n"
        "listener.detach()\nprint('pandas' in sys.modules, 'torch' in sys.modules)"
    )
    place = {**os.environ, "PYTHONPATH": f"{TOOLS}:{os.environ.get('PYTHONPATH', '')}"}
    command, ended = [sys.executable, "-c", code], subprocess.DEVNULL
    done = subprocess.run(command, env=place, cwd=tmp_path, stdin=ended, capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
    assert not (tmp_path / "folder").exists()


def test_a_killed_build_leaves_no_folder(tmp_path: Path) -> None:
    code = "import os, warm_kernels\nwith warm_kernels.warm_kernels(dict(os.environ)): os.kill(os.getpid(), 9)"
    place = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": f"{TOOLS}:{os.environ.get('PYTHONPATH', '')}"}
    assert subprocess.run([sys.executable, "-c", code], env=place, check=False).returncode == -signal.SIGKILL
    deadline = time.monotonic() + PATIENCE
    while list(tmp_path.glob("kernels-*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_temporary_folder_may_have_a_long_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with warm_kernels({**os.environ}) as environment:
        monkeypatch.setenv("JUPYTER_PATH", environment["JUPYTER_PATH"])
        manager = KernelManager(kernel_name="python3")
        manager.start_kernel()
        assert printed(manager, "import sys; print('torch' in sys.modules)") == "True\n"
        manager.shutdown_kernel(now=True)
