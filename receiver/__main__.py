"""`python -m receiver` and the `frontdesk` command."""

from receiver.cli.main import main

if __name__ == "__main__":
    main()
