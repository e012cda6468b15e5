"""Evaluate models for companies: history, model, metrics, row. Nothing here uses Dask or a store.

==========================  =====================================================================
`rules`, `windows`          horizon, purchases, lookback; a cutoff and the end of its horizon
`history`                   `History`, the only thing that a model sees, and `LabelledHistory` to
                            train on
`summary_history`           the same for models that read summaries alone
`training_window`           the arithmetic of the window to train on; `training_history` for models
                            of all companies
`customer_summaries`        recency, frequency, spend and outcomes at many windows in one pass
`window_bounds`             the bounds of these windows as arrays
`company_windows`           companies at each of their windows
`model`                     the contract of a model
`predict`                   let models predict; `model_output` checks their output,
                            `random_state` seeds them, `no_prediction` says why there is none
`outcomes`                  what customers then did; models never see it
`reference`                 the base rate known at the cutoff, the reference of every skill
`evaluate`                  predictions and metrics of companies, as `rows` and `histograms`
`schema`                    the columns of both
`reasons`                   every reason that tables give, with its sentence
==========================  =====================================================================
"""
