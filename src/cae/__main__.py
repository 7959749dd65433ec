"""`python -m cae` is the command `cae`."""

from .cli.main import main

if __name__ == "__main__":
    main(prog_name="cae")
