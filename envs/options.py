"""The options of ``reset``: every world here knows exactly one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import UserError


def only_option(options: Mapping[str, Any], name: str, where: str = "") -> Any:
    """Returns the value of the one option there is.

    Args:
        options: What ``reset`` was given; not empty.
        name: The option's name.
        where: Begins the remark about it, such as "with a dataset ".

    Raises:
        UserError: There is another option.
    """
    unknown = sorted(set(options) - {name})
    if unknown:
        raise UserError(f'reset(options=...): unknown option {unknown[0]!r}; {where}the only one is "{name}"')
    return options[name]
