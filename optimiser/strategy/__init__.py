"""Advice for traders and for demand response, with its reasons: `ped advise` (domain.md §§6, 7)."""
