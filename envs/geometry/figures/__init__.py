"""The families of scale-true figures."""

from lmmr1.envs.diagrams.question import DiagramFamily

from .angles import ANGLES
from .chords import CHORDS
from .circles import CIRCLES
from .coordinates import COORDINATES
from .counting import COUNTING
from .parallels import PARALLELS
from .quadrilaterals import QUADRILATERALS
from .right_triangles import RIGHT_TRIANGLES
from .round_areas import ROUND_AREAS
from .solids import SOLIDS
from .triangles import TRIANGLES

_AREAS: dict[str, tuple[DiagramFamily, ...]] = {
    "right_triangles": RIGHT_TRIANGLES,
    "triangles": TRIANGLES,
    "angles": (*ANGLES, *PARALLELS),
    "quadrilaterals": QUADRILATERALS,
    "circles": (*CIRCLES, *CHORDS),
    "round_areas": ROUND_AREAS,
    "coordinates": COORDINATES,
    "solids": SOLIDS,
    "counting": COUNTING,
}
FIGURES: dict[str, DiagramFamily] = {family.name: family for families in _AREAS.values() for family in families}
# Names that stand for all families of an area.
FIGURE_GROUPS = {area: tuple(family.name for family in families) for area, families in _AREAS.items()}
__all__ = ["FIGURES", "FIGURE_GROUPS"]
