"""Inference as pure functions of arrays; nothing of the project is imported here.

===================== =============================================================
`dispersion`          how a figure is spread over companies
`linearised`          intervals over companies: means, and sums over sums
`jackknife`           the same for figures that are neither
`bootstrap`           resampling companies, in any order alike
`random_effects`      how much the truth differs between companies (REML and others)
`moderation`          variances for it, drawn towards each other
`prediction`          what to expect at the next company
`shrinkage`           what is best believed of each company
`variance_components` company, cutoff, and the rest
`comparison`          Wilcoxon, false discoveries, equivalence
`ranks`               Friedman, Nemenyi
`delong`              AUCs of one evaluation, paired
`proportions`         Wilson's interval, and that of a logit
`logistic`            calibration's intercept and slope
`decomposition`       what a loss is made of (CORP, Murphy)
===================== =============================================================
"""
