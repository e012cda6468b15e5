"""List the reasons that tables give, each with a sentence for the documentation and the report.

A reason is a short code, which is counted and compared; its sentence says what it means. Other
codes are ``exception:NAME``, where a user's code raised an exception; ``a+b``, where a figure is
null for several reasons; and those that a user's model or metric passes to `Skipped` or
`Undefined`.
"""

from __future__ import annotations

EVALUATIONS = {
    # A window is refused by the plan.
    "no_whole_window": "no window was observed whole",
    "not_observed_whole": "the company's data end before the window does",
    "gap_in_data": "data seem to be missing in the window, or as long before its cutoff",
    "too_few_customers": "fewer than 10 customers had bought before the cutoff",
    "no_customers": "no customer had bought before the cutoff",
    # A model declines.
    "history_too_short": "fewer than 10 customers to learn from, or too short a past",
    "history_one_class": "all customers to learn from bought, or none",
    "no_reason": "the model declines without a reason",
    "no_predictions": "the file of predictions has none for this company and cutoff",
    # A model's output is not one probability a customer.
    "wrong_shape": "the predictions are not a one-dimensional array",
    "wrong_length": "there are more or fewer predictions than customers",
    "wrong_order": "the predictions are not in the order of the customers",
    "wrong_customers": "the predictions are not indexed by customer id",
    "not_numeric": "the predictions are not numbers",
    "not_a_number": "some predictions are NaN, missing or masked",
    "outside_0_1": "some predictions lie below 0 or above 1",
    # A model cannot be evaluated anywhere.
    "cannot_be_sent": "the model cannot be pickled, or the workers cannot load it",
    "depends_on_order": "the predictions depend on what was evaluated before in the same process",
    # Data or a process fail.
    "data_unreadable": "the company's file is missing or damaged",
    "spend_too_large": "a customer spends more in the window than can be counted exactly",
    "too_long": "the evaluation took longer than the timeout",
    "worker_died": "the evaluation took down every worker that tried it",
}
"""Reasons of evaluations that are not ``ok``: column `reason` of `plan` and `evaluations`."""

FIGURES = {
    # A metric of one evaluation.
    "no_customers": "there are no customers",
    "no_positives": "no customer bought",
    "no_negatives": "every customer bought",
    "one_class": "every customer bought, or none",
    "no_expected": "the predictions are all 0",
    "no_spend": "no customer spent anything",
    "no_reference": "the base rate is not known: the history is too short",
    "reference_is_zero": "the loss of the base rate is 0",
    "constant_predictions": "the predictions are all the same",
    "separable": "the predictions separate buyers from the others, so that no slope fits",
    "not_converged": "the fit did not converge",
    "fewer_than_2_customers": "there are fewer than two customers",
    "fewer_than_2_positives": "fewer than two customers bought",
    "fewer_than_2_negatives": "fewer than two customers did not buy",
    "not_a_number": "the metric is NaN",
    "infinite": "the metric is infinite",
    "nothing_to_capture": "no customer bought or spent anything",
    # A figure of many evaluations.
    "no_evaluations": "no evaluation counts",
    "scores_not_kept_by_company": "histograms are not kept by company (there are over 4,096)",
    "undefined_for_either": "the figure of one of the two models is undefined",
    "undefined_for_both": "no company has a figure of both models",
    "overlapping_windows": "label windows overlap",
    "fewer_than_3_cutoffs": "no company has three cutoffs",
    "fewer_than_2_companies": "fewer than two companies with enough buyers",
    "too_few_companies": "fewer than five companies with enough buyers",
    "fewer_than_2_models": "there are fewer than two models",
    "identical_models": "the models are identical",
    "fewer_than_6_companies": "the two models differ at fewer than six companies",
    "no_earlier_window": "no company has an earlier window that had ended by then",
    "no_repeated_cutoffs": "no company has more than one cutoff",
    "cutoffs_not_shared": "too few cutoffs are shared by several companies",
    "no_influence_kept": "the metric has no sums of influence, so chance cannot be separated",
    "chance_by_jackknife": "a jackknife by groups of customers says too roughly what is chance",
    "one_group_of_customers": "one of the 16 groups of customers holds all that counts",
    "losses_go_with_the_rate": "losses depend on the rate of buyers; compare models by differences",
    # An interval.
    "one_company": "there is only one company",
    "fewer_than_5_companies": "there are fewer than five companies",
    "no_spread": "the companies do not differ",
    "undefined_replicate": "the figure is undefined without one of the groups of companies",
    "biased_where_few_buy": "few buyers bias the figure of each company alike",
    "distance_from_target": "no error carries over from a figure to its distance from its target",
    "at_the_edge": "the share is 0 or 1",
    "heavy_tails": "the spread of a quotient is too heavy-tailed for an interval",
    "one_drawn": "one company represents all that were not certain to be drawn",
    "one_counted": "only one company counts",
    "nothing_counted": "no company counts",
}
"""Reasons of figures that are null: columns `undefined`, `reason` and ``*_reason`` of tables."""

CONDITIONS = {
    "no_larger_company": "no company is larger than those seen",
    "no_bigger_spenders": "no company has customers who buy or spend much more than those of the "
    "companies sampled",
}
"""What must be true for an interval to hold: column `ci_condition` of tables."""

ROWS = {
    "customer_id_empty": "the customer id is empty",
    "not_a_customer": "the customer id is one that --not-customers leaves out",
    "company_id_empty": "the company id is empty",
    "timestamp_empty": "the timestamp is empty",
    "timestamp_unparsable": "the timestamp is not a date or time",
    "timestamp_out_of_range": "the timestamp is not in the years 1678 to 2261",
    "timestamp_ambiguous": "the local time exists twice or not at all, because clocks changed",
    "outside_plausible_range": "it lies outside --plausible, or many years from all other rows",
    "value_empty": "the value is empty",
    "value_unparsable": "the value is not a number",
    "value_not_finite": "the value is infinite or NaN",
    "wrong_number_of_fields": "the record has more or fewer fields than the header",
    "unclosed_quote": "a quote is opened and never closed",
    "malformed_field": "text follows a closing quote",
    "not_utf8": "the text is not UTF-8",
    "not_in_encoding": "the text has bytes that the given encoding does not have",
    "nul_byte": "the record holds a NUL byte",
    "line_too_long": "the line has more than 1,048,576 characters",
    "comment_line": "the line begins with # and is no row",
    "repeated_header": "the line is the header once more, as in files that were joined",
    "in_another_file": "another file of the company has the row too, and --drop-copies is given",
    "overlap": "the row is not later than the rows that the dataset has of its company",
}
"""Reasons of rows that `ingest` refuses: column `reason` of the table `refused`."""


def sentence_of(code: str, reasons: dict[str, str]) -> str:
    """Return the sentence of a code; for a code that is not listed, its words.

    >>> sentence_of("no_positives+no_customers", FIGURES)
    'no customer bought; there are no customers'
    """
    kind, _, name = code.partition(":")
    if kind == "exception":
        return f"an exception was raised: {name}"
    return "; ".join(reasons.get(each, each.replace("_", " ")) for each in code.split("+"))
