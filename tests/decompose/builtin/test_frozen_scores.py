"""Scores of a few small scenes, frozen: no threshold moves unnoticed.

Whoever makes the decomposer better freezes the new figures: `python -m tests.decompose.builtin.test_frozen_scores`
is not needed, the failing test shows them.
"""
