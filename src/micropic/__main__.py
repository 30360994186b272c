"""`python -m micropic`."""

from micropic.cli import main

if __name__ == "__main__":
    main()
