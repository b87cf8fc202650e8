"""The core of Murmeli: profiles, sources, the ranker, and what they stand on. Imports neither training nor serving."""
