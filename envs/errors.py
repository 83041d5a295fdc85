"""The one base class of every error that a user's input can cause."""

from __future__ import annotations


class UserError(ValueError):
    """The input was wrong, and the message says what, where and what to do about it.

    The command line prints the message as one line (``error: ...``) and exits with status 2; any
    other exception is a bug and keeps its traceback.
    """


class MissingExtraError(UserError):
    """An optional dependency is not installed; the message names the extra and the command."""

    def __init__(self, purpose: str, package: str, extra: str) -> None:
        """Build the message.

        Args:
            purpose: what needs the package, as the start of a sentence ("Writing a film").
            package: the distribution that is missing.
            extra: the extra of this project that brings it.
        """
        super().__init__(f"{purpose} needs {package}, which is not installed: run pip install 'lmmr1[{extra}]'")
