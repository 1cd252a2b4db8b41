# The course in a container: what continuous integration installs, then what make installs.
#
#     docker build --tag course .
#     docker run --rm course                                                     # the tests
#     docker run --rm --publish 8888:8888 course .venv/bin/jupyter lab --ip 0.0.0.0 --no-browser chapters
#
# Tests of the sandbox are skipped unless it may make namespaces: --security-opt seccomp=unconfined. A GPU takes
# --gpus all, and PyTorch as its own site says.
FROM python:3.11-slim-bookworm AS system

# Playwright's node needs libatomic. Debian's packages get security updates under new numbers, and lose the old ones.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap chromium git libatomic1 make \
    && rm -rf /var/lib/apt/lists/*

# bubblewrap and Chromium both do less for root.
RUN useradd --uid 1000 --create-home --shell /bin/bash reader
USER 1000

FROM system AS course

COPY --chown=1000 . /home/reader/course
WORKDIR /home/reader/course
RUN make .venv/.ready PYTHON=python3.11 && .venv/bin/python -m pip cache purge

CMD ["make", "test"]
