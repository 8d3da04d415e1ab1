"""`python -m sgaudio`: the command line."""

from sgaudio.cli import main

if __name__ == "__main__":
    main()
