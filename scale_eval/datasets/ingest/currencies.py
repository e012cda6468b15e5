"""Currencies: the signs and codes that stand beside amounts of money."""

from __future__ import annotations

_ISO_4217 = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP "
    "BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP "
    "GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR "
    "KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK "
    "MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR "
    "SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS "
    "UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG"
)

_SIGNS = {
    "$": "USD", "US$": "USD", "U$": "USD", "$US": "USD", "A$": "AUD", "AU$": "AUD", "C$": "CAD",
    "CA$": "CAD", "$CA": "CAD", "NZ$": "NZD", "HK$": "HKD", "S$": "SGD", "SG$": "SGD",
    "NT$": "TWD", "MX$": "MXN", "R$": "BRL", "€": "EUR", "£": "GBP", "¥": "JPY", "￥": "JPY",
    "円": "JPY", "元": "CNY", "RMB": "CNY", "CN¥": "CNY", "₹": "INR", "Rs": "INR", "Rs.": "INR",
    "₽": "RUB", "руб": "RUB", "руб.": "RUB", "₴": "UAH", "грн": "UAH", "грн.": "UAH", "₩": "KRW",
    "원": "KRW", "₪": "ILS", "₫": "VND", "đ": "VND", "₦": "NGN", "₱": "PHP", "฿": "THB",
    "₺": "TRY", "TL": "TRY", "₡": "CRC", "₵": "GHS", "₲": "PYG", "₸": "KZT", "₼": "AZN",
    "₾": "GEL", "₮": "MNT", "₭": "LAK", "kr": "kr", "kr.": "kr", "zł": "PLN", "zl": "PLN",
    "Kč": "CZK", "Ft": "HUF", "lei": "RON", "lv": "BGN", "лв": "BGN", "лв.": "BGN", "Fr": "CHF",
    "Fr.": "CHF", "SFr": "CHF", "SFr.": "CHF", "RM": "MYR", "Rp": "IDR", "Rp.": "IDR", "R": "ZAR",
    "＄": "USD", "￡": "GBP", "￦": "KRW",
}  # fmt: skip

CURRENCIES = {
    **{code.casefold(): code for code in _ISO_4217.split()},
    **{sign.casefold(): code for sign, code in _SIGNS.items()},
}
"""The currency of each sign and code, in small letters; its code where only one is meant."""
