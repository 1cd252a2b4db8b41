"""Serve the built book to this machine only, and open it in the browser.

.venv/bin/python tools/serve.py
"""

import sys
import webbrowser
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HTML = Path(__file__).resolve().parent.parent / "_build" / "html"
PORTS = range(8000, 8020)


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a line in the terminal for each."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def local_server(folder: Path, ports: range | tuple[int, ...] = PORTS) -> ThreadingHTTPServer:
    """A server for ``folder`` on the first free port; port 0 takes any.

    Raises:
        OSError: every port is taken.
    """
    handler = partial(QuietHandler, directory=str(folder))
    for port in ports:
        try:
            return ThreadingHTTPServer(("127.0.0.1", port), handler)
        except OSError:
            continue
    raise OSError(f"ports {ports[0]} to {ports[-1]} are all taken")


def main() -> None:
    """Serve until Ctrl-C."""
    if not (HTML / "index.html").is_file():
        sys.exit("there is no book yet: make book")
    server = local_server(HTML)
    address = f"http://localhost:{server.server_port}/"
    print(f"the book is at {address} (Ctrl-C stops)", flush=True)
    webbrowser.open(address)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
