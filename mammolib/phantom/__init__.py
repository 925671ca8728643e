"""Synthetic screening films in the mini-MIAS layout: phantoms, not for clinical use.

The book runs on them by default, because the real films may not be passed on. They are drawn, not learnt: nothing in
them comes from a film. `anatomy` draws breasts, `lesions` the six classes of abnormality, `films` what a film and a
scanner add; `plan` decides who has what, and `writing` puts it on disk so that nothing above this room knows the
difference.
"""

from mammolib.phantom.writing import ensure, write

__all__ = ["ensure", "write"]
