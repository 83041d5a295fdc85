"""Numba, where it is installed: the one file here that imports it.

A kernel is a function of numbers and of arrays (or lists) of them, decorated with ``@kernel``. With Numba
(``lmmr1[fast]``) it is compiled at its first call and kept on disk; without, the same function runs as plain Python:
with the same results if it computes with integers. What is on disk is made anew when the file of a kernel changes, not
when that of another kernel does that it calls. Modules of kernels are imported when they are needed first, so that
nobody pays for what he does not use.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, TypeVar

import numpy as np

from lmmr1.envs.errors import MissingExtraError

F = TypeVar("F", bound=Callable[..., Any])
FLOAT_RULES = {"nsz", "arcp", "contract", "afn", "reassoc"}


@lru_cache(maxsize=1)
def has_numba() -> bool:
    """Whether Numba is installed; does not import it."""
    try:
        return find_spec("numba") is not None
    except ValueError:  # it was barred by an entry of None in sys.modules
        return False


def require_numba(purpose: str) -> None:
    """Checks that Numba is installed.

    Raises:
        MissingExtraError: It is not.
    """
    if not has_numba():
        raise MissingExtraError(purpose, "numba", "fast")


def kernel(function: F) -> F:
    """Compiles a function at its first call if Numba is installed, and returns it unchanged otherwise."""
    # Said, since what is not said a kernel takes over from the first that calls it.
    return _compiled(function, fastmath=False)


def float_kernel(function: F) -> F:
    """`kernel` of a function of floats, whose sums may be taken in any order; nan and inf stay what they are."""
    return _compiled(function, fastmath=FLOAT_RULES)


def float_part(function: F) -> F:
    """`float_kernel` of one that becomes part of each kernel that calls it.

    Else there may be several copies of it, which add up in different orders, and a process that has just compiled them
    calls another than one that reads them from the disk.
    """
    return _compiled(function, fastmath=FLOAT_RULES, forceinline=True)


def _compiled(function: F, **more: Any) -> F:
    if not has_numba():
        return function
    from numba import njit

    compile_it: Any = njit
    options = {"nogil": True, "boundscheck": False, "error_model": "numpy", **more}
    try:
        return compile_it(cache=True, **options)(function)
    except RuntimeError:
        # Neither the package's folder nor the user's cache can be written: then every process compiles for itself.
        return compile_it(**options)(function)


def buffer(values: Any, dtype: Any = np.int64) -> Any:
    """Returns values as a kernel takes them: an array with Numba, a list (much faster in plain Python) without."""
    array = np.ascontiguousarray(values, dtype)
    return array if has_numba() else array.ravel().tolist()
