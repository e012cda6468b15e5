"""Generate synthetic companies, whose customers arrive, buy by the season, and leave unannounced.

Company i depends on (seed, i) alone: it is the same in any process, whichever other companies are
made. For each customer c of a company, with x the time since the company opened:

========================  ====================================================================
arrival                   density in proportion to s(x) exp(growth x)
repeat purchases          Poisson process with the rate λ_c s(x), λ_c ~ Gamma(mean, shape)
leaving                   after the first purchase with the probability `one_time_share`; after
                          each later one with p_c ~ Beta(a, b)
value of a purchase       log-normal; half of the log-variance between customers, half within
========================  ====================================================================

The season s(x) has a mean of 1 over the company's life: the exponential of a yearly cosine, a bump
before Christmas and a weekend effect, times a rhythm of the hours, which is the same every day.
Without the season and the one-time buyers, the purchases are those of BG/NBD (Fader, Hardie & Lee
2005, "Counting your customers the easy way", Marketing Science 24(2), 275–284).

Times are UTC, to the second; rates are per year of 365.25 days; values are in the company's
currency, to the cent. The bytes are the same wherever NumPy draws the same numbers, which from one
version to the next it tries to do, but does not promise (NEP 19).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.customer_ids import CustomerIds
from scale_eval.datasets.instants import microseconds
from scale_eval.datasets.transactions import Transactions

OBSERVED_UNTIL = pd.Timestamp("2024-07-01", tz="UTC").as_unit("us")
"""The end of all data; companies that closed end earlier."""

MEDIAN_CUSTOMERS = 110.0
SIGMA = 1.39
"""Median and log-standard deviation of the sizes of companies; the mean is 289 customers."""

LARGEST_MEDIAN, LARGEST_SIGMA = 10_000_000, 5
"""The largest that are drawn."""

_SECONDS_PER_DAY = 86_400
_DAYS_PER_YEAR = 365.25
_NEW_YEAR = pd.Timestamp("2000-01-01", tz="UTC").as_unit("us")  # where the seasons' year begins
_TRAITS, _TRANSACTIONS = 0, 1  # purposes of `stream`


@dataclass(frozen=True)
class CompanyTraits:
    """The traits by which companies differ.

    Attributes
    ----------
    n_customers : int
        Number of customers who buy between `opened` and `closed`.
    opened, closed : Timestamp
        The first day, and the end of the data; both at midnight.
    growth : float
        New customers multiply by exp(growth) in a year.
    one_time_share : float
        Share of customers who leave after their first purchase. Others also buy only once, because
        they arrive late or buy rarely.
    purchases_per_year, rate_shape : float
        Mean and shape of the Gamma distribution of λ_c, the rate of those who have not left.
    dropout, dropout_concentration : float
        Mean a / (a + b) and a + b of the Beta distribution of p_c.
    season_amplitude, season_peak : float
        Height of the yearly cosine of log s, and when in the year it is highest, in [0, 1).
    holiday_peak : float
        Height of the bump of log s around the beginning of December.
    weekend : float
        Purchases on a Saturday or Sunday relative to another day.
    busiest_hour : float
        Hour of the day (UTC) with the most purchases.
    median_price, price_spread : float
        Median of the values and standard deviation of their logarithms, zero values aside.
    refund_share : float
        Share of purchases, zero values aside, that are refunded in whole or in part, a fortnight
        later on average.
    zero_share : float
        Share of purchases of value zero.
    """

    n_customers: int
    opened: pd.Timestamp
    closed: pd.Timestamp
    growth: float
    one_time_share: float
    purchases_per_year: float
    rate_shape: float
    dropout: float
    dropout_concentration: float
    season_amplitude: float
    season_peak: float
    holiday_peak: float
    weekend: float
    busiest_hour: float
    median_price: float
    price_spread: float
    refund_share: float
    zero_share: float


def synthetic_company(
    seed: int,
    index: int,
    *,
    median_customers: float = MEDIAN_CUSTOMERS,
    sigma: float = SIGMA,
    observed_whole: bool = False,
) -> Transactions:
    """Make the company at `index`; see `draw_traits`."""
    traits = draw_traits(
        seed, index, median_customers=median_customers, sigma=sigma, observed_whole=observed_whole
    )
    return generate_company(company_id(index), traits, stream(seed, index, _TRANSACTIONS))


def company_id(index: int) -> str:
    """Return the id of the company at `index`."""
    return f"company-{index:06d}"


def draw_traits(
    seed: int,
    index: int,
    *,
    median_customers: float = MEDIAN_CUSTOMERS,
    sigma: float = SIGMA,
    observed_whole: bool = False,
) -> CompanyTraits:
    """Draw the traits of company `index`, independent of each other.

    With `observed_whole` a company is at least 4.5 years old and has not closed, so that its latest
    six half-yearly windows are observed whole; its other traits stay.

    Raises `ValueError` for a negative `seed` or `index`, and for a `sigma` or a median of customers
    that no shop has.
    """
    if not (1 <= median_customers <= LARGEST_MEDIAN and 0 <= sigma <= LARGEST_SIGMA):
        raise ValueError(
            f"median_customers={median_customers}, sigma={sigma}: "
            f"give a median from 1 to {LARGEST_MEDIAN:,} and a sigma from 0 to {LARGEST_SIGMA}"
        )
    rng = stream(seed, index, _TRAITS)

    def uniform(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def log_uniform(low: float, high: float) -> float:
        return float(low * (high / low) ** rng.random())

    n_customers = max(1, round(median_customers * float(np.exp(sigma * rng.standard_normal()))))
    age = round(log_uniform(4.5 if observed_whole else 0.7, 9.0) * _DAYS_PER_YEAR)
    life = round(age * uniform(0.4, 1.0)) if rng.random() < 0.06 else age
    if observed_whole:
        life = age
    opened = OBSERVED_UNTIL - pd.Timedelta(days=age)
    return CompanyTraits(
        n_customers=n_customers,
        opened=opened,
        closed=opened + pd.Timedelta(days=life),
        growth=uniform(-0.25, 0.4),
        one_time_share=uniform(0.0, 0.55),
        purchases_per_year=log_uniform(0.4, 8.0),
        rate_shape=uniform(0.3, 1.5),
        dropout=uniform(0.03, 0.25),
        dropout_concentration=uniform(1.5, 5.0),
        season_amplitude=uniform(0.0, 0.5),
        season_peak=uniform(0.0, 1.0),
        holiday_peak=uniform(0.0, 1.2),
        weekend=uniform(0.4, 1.3),
        busiest_hour=uniform(0.0, 24.0),
        median_price=log_uniform(8.0, 400.0),
        price_spread=uniform(0.3, 1.1),
        refund_share=uniform(0.0, 0.08),
        zero_share=log_uniform(0.001, 0.1),
    )


def generate_company(
    company_id: str, traits: CompanyTraits, rng: np.random.Generator
) -> Transactions:
    """Generate every transaction of a company with these `traits`."""
    n = traits.n_customers
    codes, moments = _purchases(traits, rng)
    seconds = _seconds(moments, traits)
    taste = rng.standard_normal(n)[codes] + rng.standard_normal(len(codes))
    values = _cents(traits.median_price * np.exp(traits.price_spread * np.sqrt(0.5) * taste))
    values[rng.random(len(codes)) < traits.zero_share] = 0.0

    refunded = np.flatnonzero((rng.random(len(codes)) < traits.refund_share) & (values > 0))
    delay = rng.exponential(14 * _SECONDS_PER_DAY, len(refunded))
    part = np.minimum(rng.uniform(0.2, 2.0, len(refunded)), 1.0)  # more than half: all of it
    codes = np.concatenate([codes, codes[refunded]])
    seconds = np.concatenate([seconds, seconds[refunded] + delay])
    values = np.concatenate([values, -_cents(values[refunded] * part)])

    timestamps = microseconds(traits.opened) + seconds.astype(np.int64) * 1_000_000
    order = np.lexsort((values, timestamps, codes))
    order = order[timestamps[order] < microseconds(traits.closed)]  # refunds may come too late
    ids = pc.utf8_lpad(pa.array(np.arange(1, n + 1)).cast(pa.string()), 8, padding="0")
    return Transactions(
        company_id,
        CustomerIds.from_strings(ids),
        codes[order].astype(np.int32),
        timestamps[order],
        values[order],
    )


def _purchases(traits: CompanyTraits, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw every purchase: its customer (0 to n - 1, in order of arrival) and its moment.

    A moment is a number of days since `traits.opened`: whole days, and the share of the day's
    business that is done by then; `_seconds` turns that share into a time of day. The season is
    constant within a day, so its integral (business time) is piecewise linear, and so is the
    inverse. In business time a customer's purchases are a Poisson process: draw how many there are
    until the end, uniform in time, and keep those up to the one after which the customer leaves.
    """
    n = traits.n_customers
    season = _season(traits)
    days = np.arange(len(season) + 1.0)
    business = _integral(season) / _DAYS_PER_YEAR
    arrivals = _integral(season * np.exp(traits.growth / _DAYS_PER_YEAR * days[:-1]))

    arrived = np.interp(np.sort(rng.random(n)), arrivals / arrivals[-1], days)
    begin = np.interp(arrived, days, business)
    left = business[-1] - begin
    rate = rng.gamma(traits.rate_shape, traits.purchases_per_year / traits.rate_shape, n)
    rate[rng.random(n) < traits.one_time_share] = 0.0
    a = traits.dropout * traits.dropout_concentration
    before_leaving = rng.geometric(rng.beta(a, traits.dropout_concentration - a, n))
    until_end = rng.poisson(rate * left)

    codes = np.repeat(np.arange(n), until_end)
    uniform = np.sort(codes + rng.random(len(codes))) - codes  # in order within each customer
    rank = np.arange(len(codes)) - np.repeat(np.cumsum(until_end) - until_end, until_end)
    happens = rank < before_leaving[codes]
    codes, uniform = codes[happens], uniform[happens]
    repeated = np.interp(begin[codes] + uniform * left[codes], business, days)
    return np.concatenate([np.arange(n), codes]), np.concatenate([arrived, repeated])


def stream(seed: int, index: int, purpose: int) -> np.random.Generator:
    """Return the random numbers of company `index` for one `purpose`."""
    return np.random.Generator(
        np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(index, purpose)))
    )


def _season(traits: CompanyTraits) -> np.ndarray:
    """Return the season of each day of the company's life; the mean is 1."""
    first = (traits.opened - _NEW_YEAR).days  # 2000-01-01 is a Saturday
    day = np.arange(first, (traits.closed - _NEW_YEAR).days)
    phase = day / _DAYS_PER_YEAR % 1.0
    log_season = traits.season_amplitude * np.cos(2 * np.pi * (phase - traits.season_peak))
    log_season += traits.holiday_peak * np.exp(-0.5 * ((phase - 0.92) / 0.035) ** 2)
    season = np.exp(log_season) * np.where(day % 7 < 2, traits.weekend, 1.0)
    return season / season.mean()


def _integral(intensity: np.ndarray) -> np.ndarray:
    """Return the integral of a daily intensity at each midnight, the last one included."""
    return np.concatenate([[0.0], np.cumsum(intensity)])


def _seconds(moments: np.ndarray, traits: CompanyTraits) -> np.ndarray:
    """Return the seconds of moments since `traits.opened`, by the rhythm of the hours."""
    hours = np.arange(24) + 0.5
    rhythm = _integral(np.exp(1.2 * np.cos(2 * np.pi / 24 * (hours - traits.busiest_hour))))
    day = np.floor(moments)
    hour = np.interp(moments - day, rhythm / rhythm[-1], np.arange(25.0))
    return day * _SECONDS_PER_DAY + hour * 3_600


def _cents(amounts: np.ndarray) -> np.ndarray:
    """Round positive amounts to cents, at least one."""
    return np.maximum(np.round(amounts, 2), 0.01)
