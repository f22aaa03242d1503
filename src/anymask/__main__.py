"""``python -m anymask``, and ``torchrun -m anymask``."""

from anymask.cli import main

if __name__ == "__main__":
    main()
