"""The results of a run: its directory, and the tables that its evaluations are reduced to.

=====================  =========================================================================
`directory`            read a run's files and keep its record, `run.json`
`evaluation_parts`     write and read evaluations and scores, part by part
`share_directory`      the directory as one share of a run uses it, beside the others
`maintenance`          remove parts that do not count; `model_removal`, those of a model
`reduce`               make all tables; `memory` gives back what it no longer needs
`panel`                the evaluations as arrays, one row a window and one column a model
`ratio_terms`          the numerators and denominators of pooled figures
`estimates`            a pooled figure with its interval: the three estimands
`saved`                the parts of what a model saves against the base rate
`pooled_figures`       figures over all customers or within companies
`pooled_histograms`    the histograms of scores that some of these are computed from
`customer_influence`   the uncertainty from chance among customers
`heterogeneity`        random effects: how much companies truly differ
`tables`               one module for each result table
`fingerprint`          a hash of all results
=====================  =========================================================================
"""
