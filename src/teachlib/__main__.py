"""``python -m teachlib``: the command line, where its program is not on the path."""

from teachlib.cli import main

if __name__ == "__main__":
    main()
