"""Follows the chain, judges independently, serves people: projection, assessment, evidence, API, pages."""
