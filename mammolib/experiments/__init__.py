"""The book's experiments as data, and the profiles they run in.

Importing this room is light; the modules that train import Keras themselves.
"""

from .profiles import PROFILES, Profile, profile

__all__ = ["PROFILES", "Profile", "profile"]
