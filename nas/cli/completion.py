"""The command ``nas completion``: a script that completes commands and options in a shell."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from nas.cli.parser import Parser

_SCRIPT = """\
# Completes commands and options of nas; for every {shell}: nas completion {shell} >> ~/.{shell}rc
{before}_nas() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" words=""
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{commands}"
    elif [[ "$word" == -* ]]; then
        case "${{COMP_WORDS[1]}}" in
{cases}
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _nas nas
"""

_FISH = """\
# Completes commands and options of nas: nas completion fish > ~/.config/fish/completions/nas.fish
complete -c nas -n __fish_use_subcommand -a '{commands}' -f
{cases}
"""

_BEFORE = {"bash": "", "zsh": "autoload -U +X bashcompinit && bashcompinit\n"}
"""What a shell needs before the script, by its name."""


def add_completion(commands: Any) -> None:
    """Declare ``nas completion``."""
    completion = commands.add_parser("completion", help="print a script that completes commands in a shell")
    completion.set_defaults(command=_completion, parsers=commands.choices)
    completion.add_argument("shell", choices=[*_BEFORE, "fish"], metavar="SHELL", help="bash, zsh or fish")


def _completion(options: argparse.Namespace) -> int:
    """Run ``nas completion``; return the exit code."""
    print(script(options.shell, options.parsers), end="")
    return 0


def script(shell: str, parsers: Mapping[str, Parser]) -> str:
    """The script for a shell, by the parsers of the commands."""
    if shell == "fish":
        lines = [
            f"complete -c nas -n '__fish_seen_subcommand_from {name}' -l {option.removeprefix('--')}"
            for name, parser in parsers.items()
            for option in _options(parser)
        ]
        return _FISH.format(commands=" ".join(parsers), cases="\n".join(lines))
    cases = [
        f'            {name}) words="{" ".join(_options(parser))}" ;;' for name, parser in parsers.items()
    ]
    return _SCRIPT.format(
        shell=shell, before=_BEFORE[shell], commands=" ".join(parsers), cases="\n".join(cases)
    )


def _options(parser: Parser) -> list[str]:
    """The options of a command, long ones only."""
    parser.declare_all()
    names = [name for action in parser._actions for name in action.option_strings]
    return sorted(name for name in names if name.startswith("--"))
