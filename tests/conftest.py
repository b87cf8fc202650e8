"""What every test shares: properties draw the same examples in every run, and none is timed."""

from hypothesis import settings

settings.register_profile("murmeli", deadline=None, derandomize=True)
settings.load_profile("murmeli")
