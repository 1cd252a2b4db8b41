"""What is known of each head, as the answers to twenty questions: what classifiers of Table 6.2 are asked."""

from torch import Tensor

from teachlib.gif import heads
from teachlib.gif.appearance import COMPONENTS
from teachlib.gif.head import JOINTS, head
from teachlib.gif.parameters import Parameters
from teachlib.gif.wardrobe import Style

_CLEARLY = 0.3  # of an action's whole way
_TURNED, _NODDED, _OPENED = 0.25, 0.1, 0.08  # radians


def of_heads(told: heads.Heads, split: str) -> dict[str, Tensor]:
    """Twenty attributes of the first pictures of a split: name → whether, (N,) bool.

    Directions are those of the picture, as someone sees who looks at it.
    """
    return _parameters(told.parameters) | _style(heads.worn(split, len(told)))


def _parameters(asked: Parameters) -> dict[str, Tensor]:
    actions, pose = head().actions, dict(zip(JOINTS, asked.pose.unbind(1), strict=True))
    skin = dict(zip(COMPONENTS, asked.appearance.unbind(1), strict=True))
    light = asked.light.mean(2)

    def does(action: str) -> Tensor:
        return asked.expression[:, actions.index(action)] > _CLEARLY

    return {
        "smiles": does("mouthSmileLeft"),
        "frowns": does("mouthFrownLeft"),
        "raised brows": does("browInnerUp"),
        "closed eyes": does("eyeBlinkLeft"),
        "pursed lips": does("mouthPucker"),
        "puffed cheeks": does("cheekPuff"),
        "open mouth": pose["jaw"][:, 0] > _OPENED,
        "turned to the left": pose["root"][:, 1] < -_TURNED,
        "turned to the right": pose["root"][:, 1] > _TURNED,
        "looks down": pose["root"][:, 0] > _NODDED,
        "lit from the left": light[:, 3] < -light[:, 0] / 8,
        "lit from the right": light[:, 3] > light[:, 0] / 8,
        "fair skin": skin["lightness of the skin"] > 1,
        "beard": skin["shadow of a beard"] > 1,
        "red lips": skin["red of the lips"] > 1,
    }


def _style(style: Style) -> dict[str, Tensor]:
    bright = style.hair.mean(1)
    return {
        "glasses": style.glasses,
        "bald": style.bald,
        "long hair": (style.length > 0) & ~style.bald,
        "fair hair": (bright > 0.25) & ~style.bald,
        "striped clothes": style.stripes > 0,
    }
