"""Builds, for reports and editors: op states, versions, cache locations, compile commands."""
