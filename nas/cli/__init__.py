"""The command line."""

from __future__ import annotations

TYPE_CHECKING = False  # typing itself takes a third of the time until a Ctrl-C has an answer
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; see `nas.cli.program`.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process. An interrupt then ends the process at once, whatever its other
        threads do.
    """
    from nas.cli.signals import Signals

    with Signals(is_program=arguments is None) as signals:
        try:
            from nas.cli.program import run

            return signals.ended(run(arguments, signals))
        except KeyboardInterrupt:
            return signals.interrupted()


__all__ = ["main"]
