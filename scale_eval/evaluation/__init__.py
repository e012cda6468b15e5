"""Evaluate one model for one company at one cutoff: history, model, metrics, row.

Pure: nothing here knows Dask, nor where results are kept.
"""
