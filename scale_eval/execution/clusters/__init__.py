"""The clusters that a run can work on, one module for each kind.

`registry` lists the kinds and opens them; `base` says what a kind must offer. A new kind is a
module with a class like those in `local`, `slurm` and `existing`, and an entry in the registry.
"""
