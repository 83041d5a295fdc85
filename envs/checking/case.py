"""What is checked: how the environment is made, here and elsewhere, and the clock that its calls run against."""

from __future__ import annotations

import copy
import faulthandler
import importlib.util
import pickle
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from lmmr1.envs.chat import ChatEnv, make_world
from lmmr1.envs.errors import MissingExtraError, UserError

from .limits import Limits


class Source(Protocol):
    """A way to make the environment; it travels to another process where it can be pickled."""

    @property
    def name(self) -> str:
        """What the environment is called in the report."""
        ...

    def make(self, render_mode: str | None = None) -> Any:
        """Make it once more; a source that cannot set the render mode leaves it as it is."""
        ...


@dataclass(frozen=True)
class ById:
    """An id of Gymnasium's, "module:id", "module:function" for what it makes, or "pettingzoo:id" for an id of its."""

    name: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    spec: EnvSpec | None = None

    @classmethod
    def of(cls, id: str, kwargs: Mapping[str, Any]) -> ById:
        """Look the id up; one that only this process has registered takes its registration along."""
        return cls(id, dict(kwargs), None if ":" in id or id.startswith("LMMR1/") else gym.registry.get(id))

    def make(self, render_mode: str | None = None) -> Any:
        """See `Source`."""
        if self.spec is not None and self.spec.id not in gym.registry:
            gym.registry[self.spec.id] = self.spec
        more = {} if render_mode is None else {"render_mode": render_mode}
        module, _, id = self.name.partition(":")
        if module == "pettingzoo":
            if importlib.util.find_spec(module) is None:
                raise MissingExtraError("pettingzoo:ID", "pettingzoo", "games")
            from .checks.agents import make_registered

            return make_registered(id, {**self.kwargs, **more})
        function = self._function()
        if function is not None:
            return function(**{**self.kwargs, **more})
        return make_world(self.name, passive_checker=False, **{**self.kwargs, **more})

    def _function(self) -> Callable[..., Any] | None:
        module, colon, attribute = self.name.partition(":")
        if not colon:
            return None
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is not None and not module.startswith(error.name):
                raise
            raise UserError(f"cannot import the module {module!r} of the environment {self.name!r}") from error
        found = vars(sys.modules[module]).get(attribute)
        return found if attribute not in gym.registry and callable(found) else None


@dataclass(frozen=True)
class BySpec:
    """The registration of an environment that was made, its wrappers included."""

    spec: EnvSpec

    @property
    def name(self) -> str:
        """The id."""
        return self.spec.id

    def make(self, render_mode: str | None = None) -> Any:
        """See `Source`."""
        more: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}
        return gym.make(self.spec, disable_env_checker=True, **more)


@dataclass(frozen=True)
class ByCall:
    """A function, or a class, that makes the environment."""

    function: Callable[[], Any]

    @property
    def name(self) -> str:
        """The name of the function."""
        return self.function.__qualname__ if isinstance(self.function, type) else str(self.function)[:60]

    def make(self, render_mode: str | None = None) -> Any:
        """See `Source`."""
        return self.function()


@dataclass(frozen=True)
class ByCopy:
    """An environment that nobody knows how to make: copies of it are checked."""

    env: Any

    @property
    def name(self) -> str:
        """The name of its class."""
        inner = self.env.unwrapped
        return type(inner).__name__

    def make(self, render_mode: str | None = None) -> Any:
        """See `Source`."""
        return copy.deepcopy(self.env)


@dataclass
class Watch:
    """Ends this process when a call takes too long, with the place where it hangs; without a file it does nothing."""

    seconds: float
    file: Any = None
    _armed: float = 0.0

    def touch(self, share: float = 1.0) -> None:
        """A call begins; `share` is how many deadlines it may take."""
        now = time.monotonic()
        # Arming starts a thread, so it is done once a second at most; that second is given on top.
        if self.file is not None and (share != 1.0 or now - self._armed > 1.0):
            faulthandler.dump_traceback_later(self.seconds * share + 1.0, file=self.file, exit=True)
            self._armed = now if share == 1.0 else 0.0

    def rest(self) -> None:
        """No call is running."""
        if self.file is not None:
            faulthandler.cancel_dump_traceback_later()
            self._armed = 0.0


@dataclass(frozen=True)
class Case:
    """One environment under examination.

    Attributes:
        source: how it is made.
        chat: arguments of `ChatEnv`.
        limits: how much is tried.
        watch: what its calls run against.
    """

    source: Source
    chat: Mapping[str, Any]
    limits: Limits
    watch: Watch

    @contextmanager
    def native(self, render_mode: str | None = None) -> Iterator[Any]:
        """The environment itself, closed afterwards."""
        self.watch.touch(4.0)
        env = self.source.make(render_mode)
        try:
            yield env
        finally:
            self.watch.touch()
            with suppress(Exception):  # `close-twice` is where closing is judged
                env.close()

    @contextmanager
    def spoken(self, render_mode: str | None = None, **chat: Any) -> Iterator[ChatEnv]:
        """The environment spoken to, closed afterwards; `chat` stands over what the case says itself."""
        with self.native(render_mode) as env:
            yield ChatEnv(env, **{**self.chat, **chat})

    def sees_pictures(self) -> bool:
        """Whether it can render pictures."""
        with self.native() as env:
            return "rgb_array" in (env.metadata.get("render_modes") or ())


def can_travel(source: Source, chat: Mapping[str, Any]) -> bool:
    """Whether it can be made in another process too, and killed there."""
    if sys.platform == "win32":  # which has no process groups
        return False
    try:
        data = pickle.dumps((source, chat))
    except Exception:  # pickle raises whatever the object raises
        return False
    # What the started script defines has no module that another process could import.
    return b"__main__" not in data
