"""Money of several currencies on one scale, learnt from the train days."""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin


class CurrencyUnits(TransformerMixin, BaseEstimator):
    """Takes feature columns of a frame, money as log(1 + multiples of its currency's median payment).

    1,250,000 rupiah and 80 dollars are both ordinary payments; as bare numbers they are not comparable. A currency
    that the train days did not show takes the median of the others' medians. Learnt: `medians_` (currency → units).

    columns: names to give out, in order; money: which of them are amounts. Nulls stay NaN.
    """

    def __init__(self, columns: list[str], money: list[str]) -> None:
        self.columns = columns
        self.money = money

    def fit(self, frame: pd.DataFrame, y: object = None) -> Self:
        """Learn each currency's median payment from `currency` and `amount`."""
        medians = frame.groupby("currency")["amount"].median()
        self.medians_ = {str(currency): float(value) for currency, value in medians.items() if value > 0}
        self.other_ = float(np.median(list(self.medians_.values()))) if self.medians_ else 1.0
        return self

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Float array of shape (rows, columns)."""
        unit = frame["currency"].map(self.medians_).fillna(self.other_).astype(float)
        values = frame[self.columns].astype(float)
        for name in self.money:
            values[name] = np.log1p(values[name].clip(lower=0) / unit)
        return values.to_numpy()
