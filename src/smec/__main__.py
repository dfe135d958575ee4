"""``python -m smec``, and with it ``torchrun -m smec``."""

from smec.cli.main import main

if __name__ == "__main__":
    main()
