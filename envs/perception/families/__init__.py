"""The families of perception."""

from lmmr1.envs.diagrams.question import DiagramFamily

from .charts import CHARTS
from .instruments import INSTRUMENTS
from .objects import OBJECTS
from .paths import PATHS

_AREAS: dict[str, tuple[DiagramFamily, ...]] = {
    "charts": CHARTS,
    "objects": OBJECTS,
    "instruments": INSTRUMENTS,
    "paths": PATHS,
}
PERCEPTION: dict[str, DiagramFamily] = {family.name: family for families in _AREAS.values() for family in families}
# Names that stand for all families of an area.
PERCEPTION_GROUPS = {area: tuple(family.name for family in families) for area, families in _AREAS.items()}
__all__ = ["PERCEPTION", "PERCEPTION_GROUPS"]
