"""A setting: a field of a dataclass with metadata for everything that reads settings.

Checks and their errors, options of the command line, docstrings, ``docs/settings.md`` and TOML files are made
from the metadata.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from typing import Any

from nas.errors import InputError
from nas.settings.kinds import Kind


@dataclass(frozen=True)
class Setting:
    """A setting and its metadata.

    Attributes
    ----------
    kind : Kind
        The values that it takes, with their bounds.
    help : str
        A sentence without its full stop, for the command line, docstrings and documents.
    more : str
        Further sentences for docstrings and documents.
    unit : str
        The unit of a number, such as "s".
    otherwise : str
        The meaning of the default None.
    metavar : str
        The option's value in the command line's help.
    former : str
        The name in earlier versions, which is still understood, as a name and as an option.
    former_option : str
        The option in earlier versions where it did not follow from the name; still understood, too.
    example : object
        A value for files where the default has no value in TOML.
    resumable : bool
        Whether ``nas resume`` may change it.
    name, group : str
        The field's name and that of its group, filled in by `settings_in`.
    default : object
        The field's default, filled in by `settings_in`.
    """

    kind: Kind
    help: str
    more: str = ""
    unit: str = ""
    otherwise: str = ""
    metavar: str = ""
    former: str = ""
    former_option: str = ""
    example: Any = None
    resumable: bool = False
    name: str = ""
    group: str = ""
    default: Any = None

    @property
    def flag(self) -> str:
        """The option of the command line: the name without a leading ``n_``, with dashes."""
        return _dashed(self.name.removeprefix("n_"))

    @property
    def type_name(self) -> str:
        """The type as a docstring gives it."""
        return f"{self.kind.type_name}, optional" if self.default is None else self.kind.type_name

    @property
    def default_text(self) -> str:
        """The default in words."""
        if self.otherwise or self.default is None:
            return self.otherwise or "none"
        if isinstance(self.default, bool):
            return "yes" if self.default else "no"
        if isinstance(self.default, tuple):
            return ", ".join(map(str, self.default)) or "none"
        return str(self.default)

    @property
    def former_flags(self) -> list[str]:
        """The options of earlier versions."""
        by_name = _dashed(self.former) if self.former else ""
        return [flag for flag in (by_name, self.former_option) if flag]

    def check(self, value: Any) -> None:
        """Raise `InputError` unless a value is of the setting's kind; None stands for a default of None."""
        if not (value is None and self.default is None) and not self.kind.holds(value):
            raise InputError(f"{self.name}: expected {self.kind.expected}, got {value!r}")

    def check_in_file(self, value: Any) -> None:
        """Raise `InputError` unless a value of a TOML file is of the setting's kind."""
        holds = self.kind.holds_in_file or self.kind.holds
        if not holds(value):
            raise InputError(f"{self.name}: expected {self.kind.expected_in_file}, got {value!r}")


def setting(default: Any, kind: Kind, help_text: str, **metadata: Any) -> Any:
    """A field of a dataclass that is a setting; `metadata` are further attributes of `Setting`."""
    return field(default=default, metadata={_KEY: Setting(kind, help_text, **metadata)})


def settings_in(group: Any) -> Iterator[Setting]:
    """The settings of a group, in their order."""
    for declared in fields(group):
        yield _complete(declared, group.section)


_KEY = "setting"


def _complete(declared: Field[Any], group: str) -> Setting:
    described: Setting = declared.metadata[_KEY]
    assert declared.default is not MISSING, f"{declared.name}: a setting without default"
    return replace(
        described,
        name=declared.name,
        group=group,
        default=declared.default,
    )


def _dashed(name: str) -> str:
    return f"--{name.replace('_', '-')}"
