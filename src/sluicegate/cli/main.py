"""``sluice``: finds the command, turns errors into one sentence and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

from sluicegate import __version__


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 green, 1 failed, 2 usage, 3 finished with rejects, 4 denied, 130 cancelled."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given in (["version"], ["--version"]):
        print(f"sluice {__version__}")
        return
    debug = "--debug" in given or bool(os.environ.get("SLUICE_DEBUG"))
    given = [each for each in given if each != "--debug"]
    as_json = "--json" in given
    from sluicegate.base.errors import SluiceError

    try:
        code = _dispatch(given)
        sys.stdout.flush()  # a reader that has left is noticed here, not at exit
    except SluiceError as fault:
        if debug:
            _trace()
        _tell(fault, as_json=as_json)
        code = fault.exit
    except KeyboardInterrupt:
        print("sluice: interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as fault:
        if debug:
            _trace()
        _tell(_of_the_system(fault), as_json=as_json)
        code = 1
    except Exception as fault:  # noqa: BLE001 - the last door: one sentence and an exit code
        if debug:
            _trace()
        what = f"something unexpected happened ({type(fault).__name__})"
        _tell(SluiceError(what, hint="" if debug else "Add --debug for more."), as_json=as_json)
        code = 1
    sys.exit(code)


def _dispatch(given: list[str]) -> int:
    import click

    from sluicegate.base.errors import Usage
    from sluicegate.cli.commands import root

    try:
        found = root().main(args=given, prog_name="sluice", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as fault:
        print(fault.format_message())
        return 2
    except click.exceptions.Exit as fault:
        return fault.exit_code
    except click.exceptions.Abort:
        print("sluice: interrupted", file=sys.stderr)
        return 130
    except click.ClickException as fault:
        if fault.message.startswith(_TOO_MANY):  # what follows may be somebody's password
            fault = click.UsageError(_ONE_LESS, getattr(fault, "ctx", None))
        if "--json" in given:
            raise Usage(fault.format_message()) from None
        fault.show()
        return 2
    return found if isinstance(found, int) else 0


_TOO_MANY = "Got unexpected extra argument"
_ONE_LESS = "There is a word too many. Secrets are never words: they are asked for, or read from a file."


def _of_the_system(fault: OSError) -> object:
    """Return an error of the system as one of ours: what it is about, and what is wrong with it."""
    from sluicegate.base.errors import NoSpace, SluiceError

    kind = NoSpace if fault.errno in (errno.ENOSPC, errno.EDQUOT) else SluiceError
    place = fault.filename2 or fault.filename
    told = fault.strerror or f"something unexpected happened ({type(fault).__name__})"
    return kind(told, where=place if isinstance(place, str) else "", hint="" if place else "Add --debug for more.")


def _trace() -> None:
    import traceback

    traceback.print_exc()


def _tell(fault: object, *, as_json: bool) -> None:
    import json

    from sluicegate.base.errors import SluiceError
    from sluicegate.cli.show import clean

    if not isinstance(fault, SluiceError):
        return
    if as_json:
        print(json.dumps({"error": fault.problem()}))
        return
    place = f"{clean(fault.where)}: " if fault.where else ""
    print(f"sluice: {place}{clean(fault.message)}", file=sys.stderr)  # a server may have said it
    if fault.hint:
        print(f"        {clean(fault.hint)}", file=sys.stderr)


if __name__ == "__main__":
    main()
