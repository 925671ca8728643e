"""Patches of films: the grid of 225, crops centred on a lesion, uniform cuts, and the rule against dark background.

The paper (section 2) makes three sets from the 1024 x 1024 films: 225 patches of 128 x 128 an image, which is a grid of
15 x 15 at stride 64; crops of 256 x 256 with the lesion in the centre, eight views of each; and "uniformly cut" images
of 256 x 256 (section 4.2, Experiment E), whose rule it does not state.

Films are those of `mammolib.mias`. As in the paper, films with several annotation rows or with a lesion that has no
centre are passed over here; so a patch shows one lesion at most.
"""

from mammolib.patches.cutting import DARK, MAX_DARK, crop, dark_fraction, grid, grid_origins, survivors
from mammolib.patches.sets import Crops, Patches, labelled_patches, lesion_crops, uniform_cuts

__all__ = [
    "DARK", "MAX_DARK", "Crops", "Patches", "crop", "dark_fraction", "grid", "grid_origins", "labelled_patches",
    "lesion_crops", "survivors", "uniform_cuts",
]  # fmt: skip
