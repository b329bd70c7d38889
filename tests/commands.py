"""Commands of `genomic-ulmfit` in tests, written as one types them."""

import shlex
import sys

from genomic_ulmfit.cli.main import main

CLI = [sys.executable, "-c", "import sys; from genomic_ulmfit.cli.main import main; sys.exit(main())"]  # for a process


def words(command: str, **places) -> list[str]:
    """The words of a command. Its places are filled word by word, so that a path may hold spaces.

    >>> words("predict {tmp}/clf - --fast", tmp="my models")
    ['predict', 'my models/clf', '-', '--fast']
    """
    return [word.format(**places) for word in shlex.split(command)]


def run(command: str, **places):
    """Run a command that must succeed."""
    assert main(words(command, **places)) == 0


def fails(capsys, command: str, *, names=(), **places) -> str:
    """Run a command that must fail: exit code 2 and one line that holds all of `names`."""
    assert main(words(command, **places)) == 2
    err = capsys.readouterr().err
    assert err.startswith("genomic-ulmfit: ") and err.count("\n") == 1, err
    for name in names:
        assert name in err, err
    return err
