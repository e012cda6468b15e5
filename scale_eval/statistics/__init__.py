"""Inference as pure functions of arrays; these modules import nothing of the project.

===================== =============================================================
`dispersion`          spread of a figure over companies
`tail`                whether sizes have a heavy tail
`linearization`       intervals over companies: means, and ratios of sums
`jackknife`           intervals for figures that are neither
`bootstrap`           resampling of companies, independent of their order
`random_effects`      spread of the true effects between companies (REML)
`sampled_effects`     the same of a finite population, from a sample of it
`variance_smoothing`  noisy variances, as a function of what was known before
`precision_trend`     effects that go with the size of companies
`prediction`          the true effect at the next company
`shrinkage`           best predictions of companies' own effects
`variance_components` variances of companies, cutoffs and the rest
`comparison`          Wilcoxon, false discoveries, equivalence
`ranks`               Friedman, Nemenyi
`proportions`         Wilson's interval, and the logit interval
`logistic`            calibration intercept and slope of one evaluation
`logistic_many`       many such regressions at once
`common_slope`        one slope beside an intercept for each stratum
`decomposition`       parts of a loss (CORP)
`saved_loss`          parts of what a model saves against a known rate
`weighted_blocks`     pooled figures of weighted counts, with their influence
`sampling_design`     stratified samples that nest
`survey`              figures of a finite population, with their errors
`undefined`           the exception for numbers that do not exist
===================== =============================================================
"""
